"""Extracted images: requested ones are looked up, the rest is listed for messages."""

import logging
import os
import pathlib
import pickle
from collections.abc import Callable, Mapping
from unittest import mock

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION, Original
from imagenet2012_subset.sources import image_folders
from imagenet2012_subset.sources.image_folders import ImageFolders, Layout
from tests.shared import forms

pytestmark = pytest.mark.usefixtures("platform")
IMAGE = "n01440764_1.JPEG"
APPENDED = "n01440764_1_n01440764.JPEG"
VALIDATION_IMAGE = "ILSVRC2012_val_00000293.JPEG"  # Of n01440764.


@pytest.mark.parametrize(
    ("by_synset", "appended", "name", "path", "text"),
    [
        (True, False, IMAGE, f"d/n01440764/{IMAGE}", "d/<wnid>/*.JPEG"),
        (False, False, IMAGE, f"d/{IMAGE}", "d/*.JPEG"),
        (False, True, IMAGE, f"d/{APPENDED}", "d/*_<wnid>.JPEG"),
        (True, True, IMAGE, f"d/n01440764/{APPENDED}", "d/<wnid>/*_<wnid>.JPEG"),
    ],
)
def test_where_a_layout_stores_an_image(by_synset, appended, name, path, text):
    layout = Layout("d", by_synset, appended)
    assert layout.path(name) == path
    assert str(layout) == text
    parsed = names.parse_path(path.encode())
    assert parsed.name == name.encode()
    assert (parsed.appended is not None) == appended


Make = Callable[..., ImageFolders]


@pytest.fixture
def make(tmp_path) -> Make:
    """Writes files, and takes their folder as `<wnid>/*.JPEG`."""

    def write(files: Mapping[str, bytes], by_synset: bool = True) -> ImageFolders:
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        for path, content in files.items():
            forms.write(folder / path, content)
        return ImageFolders([Layout(str(folder), by_synset, False)], TRAINING)

    return write


def _tree(small_data, folder: pathlib.Path, original: Original) -> ImageFolders:
    if original == TRAINING:
        forms.training_tree("train")(small_data, folder)
        return ImageFolders([Layout(str(folder / "train"), True, False)], TRAINING)
    forms.validation_sorted("val")(small_data, folder)
    return ImageFolders([Layout(str(folder / "val"), False, False)], VALIDATION)


def test_only_requested_training_images_are_looked_up(small_data, tmp_path):
    tree = _tree(small_data, tmp_path / "form", TRAINING)
    folder = tmp_path / "form" / "train"
    with (
        mock.patch.object(os, "scandir", wraps=os.scandir) as listed,
        mock.patch.object(os, "stat", wraps=os.stat) as looked_up,
    ):
        found = tree.look_up(small_data.listed)
        assert not listed.called
        assert {os.fsdecode(call.args[0]) for call in looked_up.mock_calls} == {
            str(folder / name.partition("_")[0] / name) for name in small_data.listed
        }
        assert [entry.name for entry in found] == sorted(small_data.listed)
        # Where one is missing, all are listed.
        found = tree.look_up([*small_data.listed, "n01440764_99.JPEG"])
        assert len(found) == len(small_data.listed)
        assert listed.called
    assert tree.describe() == (
        "it has 12 images; images are expected in train/<wnid>/*.JPEG"
    )


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_a_pickled_source_reads_the_entries(small_data, tmp_path, original):
    images = dict(
        forms.images(small_data) if original == TRAINING else small_data.validation
    )
    tree = _tree(small_data, tmp_path / "form", original)
    assert sorted(tree.listing().names.tolist()) == [n.encode() for n in sorted(images)]
    entries = tree.look_up(sorted(images))
    tree, entries = pickle.loads(pickle.dumps((tree, entries)))
    assert "_listed" not in tree.__dict__
    assert list(tree.read_images(entries)) == [images[name] for name in sorted(images)]
    path = pathlib.Path(tree.where(entries[0]))
    assert path.name == entries[0].name
    assert tree.damaged(entries[0], "is cut off").path == str(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ArchiveError, match="bytes and now has"):
        list(tree.read_images(entries))
    assert not list(tree.read_images(tree.look_up([])))


def test_other_files_are_counted_and_some_are_named(make):
    others = {f"{i}.txt": b"" for i in range(4)} | {"n01440764/x/y": b"", "z/q": b""}
    listing = make({f"n01440764/{IMAGE}": b"x", **others}).listing()
    assert listing.names.tolist() == [IMAGE.encode()]
    assert listing.num_others == 6
    assert listing.others == ("z/", "0.txt", "1.txt", "2.txt", "3.txt")
    assert make({}).describe() == (
        "it has 1 image and 6 other files (z/, 0.txt, 1.txt, ...); images are expected "
        "in folder/<wnid>/*.JPEG"
    )


def _problem(source: ImageFolders) -> tuple[str, str]:
    with pytest.raises(ArchiveError) as caught:
        source.look_up(["n01440764_99.JPEG"])
    folder = os.fspath(source.path)
    return os.path.relpath(caught.value.path, folder), caught.value.problem


WRONG_FOLDER = "is in the folder of n01443537, but the image belongs to n01440764"
WRONG_SUFFIX = f"has n01443537 appended to its name, but {IMAGE} belongs to n01440764"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (f"n01443537/{IMAGE}", WRONG_FOLDER),
        (f"n01443537/{VALIDATION_IMAGE}", WRONG_FOLDER),
        ("n01440764_1_n01443537.JPEG", WRONG_SUFFIX),
    ],
)
def test_an_image_of_another_synset_is_an_error(make, path, problem):
    assert _problem(make({path: b"x"})) == (path, problem)


def test_an_image_of_an_unknown_synset_is_ignored(make):
    tree = make({"n01440764/n99999999_1.JPEG": b"x"})
    assert not len(tree.look_up([IMAGE]))


# The warning of resized images.

USUAL = TRAINING.mean_image_bytes


def test_the_usual_size_is_that_of_the_originals():
    assert pytest.approx(114_650, rel=0.001) == USUAL
    assert VALIDATION.mean_image_bytes == pytest.approx(134_130, rel=0.001)


@pytest.mark.parametrize(
    ("sizes", "warned"),
    [
        # A few: all shorter than half of the usual size, or all longer than twice.
        ([USUAL / 2 - 1] * 9, True),
        ([USUAL / 2 - 1] * 9 + [USUAL / 2 + 1], False),
        ([USUAL * 2 + 1] * 9, True),
        ([USUAL * 2 + 1] * 9 + [USUAL * 2 - 1], False),
        ([1] * 998 + [USUAL / 2 + 1], False),
        # A thousand or more: their average counts.
        ([1] * 999 + [USUAL / 2 + 1], True),
        ([USUAL * 3 / 4 - 1] * 1000, True),
        ([USUAL * 3 / 4 + 1] * 1000, False),
        ([USUAL * 4 / 3 + 1] * 1000, True),
        ([USUAL * 4 / 3 - 1] * 1000, False),
        ([], False),
    ],
)
def test_images_that_seem_to_be_resized_cause_a_warning(make, caplog, sizes, warned):
    tree = make({"x": b""}, by_synset=False)
    wanted = [f"n01440764_{number}.JPEG" for number in range(len(sizes))]
    for name, size in zip(wanted, sizes, strict=True):
        with open(os.path.join(tree.path, name), "wb") as output:
            output.truncate(int(size))  # A hole: no disk space is taken.
    with caplog.at_level(logging.WARNING):
        assert len(tree.look_up(wanted)) == len(sizes)
    messages = [record.getMessage() for record in caplog.records]
    assert bool(messages) == warned
    if warned:
        average = sum(map(int, sizes)) / len(sizes)
        assert messages[0].startswith(
            f"{tree.path}: {len(sizes):,} images with {average:,.0f} bytes on average, "
            f"the originals with {USUAL:,.0f}. They seem to have been resized"
        )


def test_a_folder_that_cannot_be_listed_is_an_error(make):
    tree = make({"n01440764/x": b""})
    denied = PermissionError(13, "Permission denied", f"{tree.path}/sub")
    with mock.patch.object(image_folders, "list_folders", side_effect=denied):
        assert _problem(tree) == ("sub", "cannot be listed (Permission denied)")


def test_what_it_is_in_words(tmp_path):
    folders = [str(tmp_path / name) for name in ("train_images_0", "train_images_1")]
    tree = ImageFolders([Layout(folder, False, True) for folder in folders], TRAINING)
    assert tree.path == epath.Path(folders[0])
    assert tree.form == (
        "extracted images, train_images_0/*_<wnid>.JPEG and "
        "train_images_1/*_<wnid>.JPEG"
    )
    assert tree.remedy.startswith(f"Extract {TRAINING.file_name} again")
    assert tree.size is tree.sha256() is None
    assert tree.stage("entries", tmp_path) == "entries"
