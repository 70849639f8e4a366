"""A tar that is missing images is explained by what was seen in it."""

import subprocess
import tarfile

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.subset.select import select_validation
from tests.shared import archives
from tests.shared.tars import Entry, make_tar

NAMES = [archives.validation_name(number) for number in range(1, 7)]
IMAGES = [(name, archives.jpeg(number)) for number, name in enumerate(NAMES)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / VALIDATION.file_name


def _selected(path) -> dict[str, bytes]:
    source = find_source(epath.Path(path).parent, VALIDATION)
    return {image.name: image.data for image in select_validation(source, 6)}


def _error(path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        _selected(path)
    assert caught.value.path == str(path)
    return caught.value


def test_tar_concatenate_joins_what_cat_does_not(path):
    first, second = archives.tar_bytes(IMAGES[:3]), archives.tar_bytes(IMAGES[3:])
    path.write_bytes(first + second)
    problem = _error(path).problem
    assert f"but a second archive follows at byte {len(first):,} (cat" in problem
    path.write_bytes(first)
    (path.parent / "second.tar").write_bytes(second)
    command = ["tar", "--concatenate", "-f", path, path.parent / "second.tar"]
    subprocess.run(command, check=True)
    assert _selected(path) == dict(IMAGES)


@pytest.mark.parametrize(
    ("num_links", "members"), [(1, "1 member is a link"), (3, "3 members are links")]
)
def test_links_are_counted(path, num_links, members):
    links = [Entry(name, type=tarfile.SYMTYPE) for name in NAMES[:num_links]]
    rest = [Entry(name, data) for name, data in IMAGES[num_links:]]
    path.write_bytes(make_tar([*links, *rest], tarfile.GNU_FORMAT))
    problem = _error(path).problem
    assert f"is missing {num_links} of 6 images" in problem
    assert f"{members} without an image (pack what links point to: tar -h)" in problem


@pytest.mark.parametrize("hidden", [".Trash-1000", "@eaDir", "__MACOSX"])
def test_hidden_folders_are_ignored_in_a_tree(tmp_path, hidden):
    for folder in ("val", f"val/{hidden}", f"val/n01440764/{hidden}"):
        for name, data in IMAGES if folder == "val" else [(n, b"x") for n in NAMES]:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(data)
    assert _selected(tmp_path / "val") == dict(IMAGES)


SYNSETS = {
    wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(n)) for n in range(9)]
    for wnid in ("n01440764", "n01443537")
}
TRAINING_TAR = archives.training_tar(SYNSETS)
OTHER_TARS = {
    "synset tars in a folder": archives.training_tar(
        {f"train/{wnid}": images for wnid, images in SYNSETS.items()}
    ),
    "validation images": archives.tar_bytes(IMAGES),
    "devkit": archives.tar_bytes([("devkit/readme.txt", bytes(9000))]),
}


def _training_error(folder, content: bytes) -> ArchiveError:
    (folder / TRAINING.file_name).write_bytes(content)
    with pytest.raises(ArchiveError) as caught:
        find_source(epath.Path(folder), TRAINING).listing()
    return caught.value


@pytest.mark.parametrize("length", [300, 700, 5000, 25_000])
def test_a_cut_download_can_be_resumed(tmp_path, length):
    error = _training_error(tmp_path, TRAINING_TAR[:length])
    assert "is cut off or damaged" in error.problem
    assert ("wget -c" in error.remedy) == (length >= 512)
    if length >= 512:
        assert f"at {length:,} of 147,897,477,120 bytes" in error.remedy


@pytest.mark.parametrize("content", OTHER_TARS.values(), ids=OTHER_TARS)
def test_a_cut_archive_of_another_kind_cannot_be_resumed(tmp_path, content):
    error = _training_error(tmp_path, content[:5000])
    assert "is cut off or damaged" in error.problem
    assert "wget" not in error.remedy


def test_damage_in_the_middle_is_not_a_cut_download(tmp_path):
    # In the header of the first image.
    content = TRAINING_TAR[:512] + b"\xff" * 8 + TRAINING_TAR[520:]
    error = _training_error(tmp_path, content)
    assert "no valid tar header at byte 512 of" in error.problem
    assert "wget" not in error.remedy
    assert "sha256" in error.remedy
