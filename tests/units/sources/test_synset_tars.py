"""A folder of synset tars: the images of all, or the tar that cannot be read."""

import os
import pickle

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources import synset_tars
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.sources.synset_tars import SynsetTars
from tests.shared import archives

pytestmark = pytest.mark.usefixtures("platform")
WNIDS = ("n01440764", "n01443537", "n15075141")
IMAGES = {
    f"{wnid}_{n}.JPEG": bytes([i, n]) * (n + i)
    for i, wnid in enumerate(WNIDS)
    for n in (3, 1, 2)
}


@pytest.fixture
def folder(tmp_path) -> epath.Path:
    for wnid in WNIDS:
        files = [(name, data) for name, data in IMAGES.items() if name[:9] == wnid]
        (tmp_path / f"{wnid}.tar").write_bytes(archives.tar_bytes(files))
    for other in ("n99999999.tar", "n01440764.tar.part", "._n01440764.tar", "README"):
        (tmp_path / other).write_bytes(b"not a synset tar")
    return epath.Path(tmp_path)


def _open(folder: epath.Path) -> SynsetTars:
    return SynsetTars(folder, TRAINING, folder / "cache")


def test_images_of_all_tars_are_found_and_read(folder):
    for _ in range(2):  # With a walk, then with the saved index.
        source = _open(folder)
        entries = source.index.entries
        assert decoded(entries.names) == list(IMAGES)
        assert list(source.read_images(entries)) == list(IMAGES.values())
        assert entries.table.paths == tuple(str(folder / f"{w}.tar") for w in WNIDS)
    some = source.look_up([f"{WNIDS[2]}_1.JPEG", f"{WNIDS[0]}_2.JPEG"])
    assert some.table.paths == (f"{folder}/{WNIDS[0]}.tar", f"{folder}/{WNIDS[2]}.tar")
    copy, some = pickle.loads(pickle.dumps((source, some)))
    read = [IMAGES[f"{WNIDS[0]}_2.JPEG"], IMAGES[f"{WNIDS[2]}_1.JPEG"]]
    assert list(copy.read_images(some)) == read
    assert copy.where(some[1]) == f"{WNIDS[2]}_1.JPEG at byte {some[1].offset:,}"
    assert copy.damaged(some[1], "is cut off").path == f"{folder}/{WNIDS[2]}.tar"


def test_what_it_is_in_words(folder):
    source = _open(folder)
    assert source.form == f"3 synset tars, as {TRAINING.file_name} extracts to"
    assert source.describe() == (
        "it has 3 synset tars (n01440764.tar, n01443537.tar, n15075141.tar)"
    )
    assert f"tar -xf {TRAINING.file_name} -C {folder}" in source.remedy
    assert source.size is source.sha256() is None


def _problem(folder: epath.Path) -> tuple[str, str]:
    with pytest.raises(ArchiveError) as caught:
        _open(folder).listing()
    return os.path.relpath(caught.value.path, folder), caught.value.problem


def test_a_tar_that_cannot_be_looked_up_is_an_error(folder, monkeypatch):
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr(synset_tars, "statuses", lambda paths: [denied] * len(paths))
    reason = "cannot be looked up (Permission denied)"
    assert _problem(folder) == (f"{WNIDS[0]}.tar", reason)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(ArchiveError, match=r"none: cannot be listed \(No such file"):
        _open(epath.Path(tmp_path) / "none")
