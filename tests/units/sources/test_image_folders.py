"""A tree looks up what is wanted, and lists the rest only to say what is there."""

import os
import pickle

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.image_folders import FolderTree, Layout
from tests.shared import forms


@pytest.mark.parametrize(
    ("by_synset", "appended", "name", "path"),
    [
        (True, False, "n01440764_18.JPEG", "d/n01440764/n01440764_18.JPEG"),
        (False, False, "n01440764_18.JPEG", "d/n01440764_18.JPEG"),
        (False, True, "n01440764_18.JPEG", "d/n01440764_18_n01440764.JPEG"),
        (
            True,
            True,
            "ILSVRC2012_val_00000293.JPEG",
            "d/n01440764/ILSVRC2012_val_00000293_n01440764.JPEG",
        ),
    ],
)
def test_where_an_image_lies(by_synset, appended, name, path):
    assert Layout("d", by_synset, appended).path(name) == path
    parsed = names.parse_path(path.encode())
    assert parsed.name == name.encode()
    assert (parsed.appended is not None) == appended


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"n01440764_18",
        b"n01440764_18.jpeg",
        b"n01440764_18.JPG",
        b"._n01440764_18.JPEG",
        b"n01440764_18_n0144076.JPEG",
        b"n01440764_18_n01440764_n01440764.JPEG",
    ],
)
def test_what_names_no_image(path):
    assert names.parse_path(path) is None


def test_who_belies_a_name():
    assert names.belies("n01440764_18.JPEG", "n01443537") == "n01440764"
    assert names.belies("n01440764_18.JPEG", "n01440764") is None
    assert names.belies("n99999999_18.JPEG", "n01440764") is None
    assert names.belies("ILSVRC2012_val_00000293.JPEG", "n01443537") == "n01440764"


def test_the_average_size_of_an_original():
    assert TRAINING.mean_image_bytes == pytest.approx(114_650, rel=0.001)
    assert VALIDATION.mean_image_bytes == pytest.approx(134_130, rel=0.001)


@pytest.fixture
def asked(monkeypatch):
    """Which files are looked up, and which folders listed."""
    paths = []
    for name in ("stat", "scandir"):
        call = getattr(os, name)

        def note(path, *args, _call=call, **kwargs):
            if not isinstance(path, int):
                paths.append(os.fsdecode(path))
            return _call(path, *args, **kwargs)

        monkeypatch.setattr(os, name, note)
    return paths


def test_only_listed_training_images_are_looked_up(small_data, tmp_path, asked):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    tree = find_source(epath.Path(folder), TRAINING)
    asked.clear()
    found = tree.look_up(small_data.listed)
    wanted = {
        str(folder / "train" / name.partition("_")[0] / name)
        for name in small_data.listed
    }
    assert set(asked) == wanted
    assert [entry.name for entry in found] == sorted(small_data.listed)


def test_all_are_listed_where_one_is_missing(small_data, tmp_path, asked):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    tree = find_source(epath.Path(folder), TRAINING)
    asked.clear()
    found = tree.look_up([*small_data.listed, "n01440764_99.JPEG"])
    assert len(found) == len(small_data.listed)
    assert str(folder / "train") in asked
    assert "it has 12 images" in tree.describe()


def test_its_origin_opens_it_elsewhere(small_data, tmp_path):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    for original, images in (
        (TRAINING, dict(forms.images(small_data))),
        (VALIDATION, dict(small_data.validation)),
    ):
        tree = find_source(epath.Path(folder), original)
        entries = tree.look_up(sorted(images))
        origin, entries = pickle.loads(pickle.dumps((tree.origin, entries)))
        again = origin.open()
        assert isinstance(again, FolderTree)
        read = [bytes(data) for data in again.read_in_order(entries)]
        assert read == [images[name] for name in sorted(images)]
        path = folder / next(folder.rglob(entries[0].name))
        path.write_bytes(path.read_bytes())
        with pytest.raises(ArchiveError, match="written to or replaced"):
            list(again.read_in_order(entries))


def test_nothing_to_read(small_data, tmp_path):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    tree = find_source(epath.Path(folder), TRAINING)
    assert list(tree.read_in_order(tree.look_up([]))) == []
