"""Builds from every form of ImageNet give the same dataset as the archives."""

import contextlib
import itertools
import logging
import pathlib
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from imagenet2012_subset import ManualDirError
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.shared import archives, faults, forms


def _files(builder):
    return {
        path.name: path.read_bytes()
        for path in pathlib.Path(builder.data_path).iterdir()
    }


@pytest.fixture
def from_tars(build, tmp_path):
    return _files(build(data_dir=tmp_path / "from_tars"))


@pytest.mark.parametrize(
    ("training", "validation"),
    zip(forms.TRAINING_FORMS, itertools.cycle(forms.VALIDATION_FORMS)),
)
def test_every_form(build, small_data, from_tars, tmp_path, training, validation):
    folder = tmp_path / "form"
    folder.mkdir()
    forms.TRAINING_FORMS[training](small_data, folder)
    forms.VALIDATION_FORMS[validation](small_data, folder)
    before = faults.contents(folder)
    assert _files(build(manual_dir=folder)) == from_tars
    assert faults.contents(folder) == before


@settings(
    max_examples=12,
    # Each example has its own folder.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    training=st.sampled_from(sorted(forms.TRAINING_FORMS)),
    validation=st.sampled_from(sorted(forms.VALIDATION_FORMS)),
    leftovers=st.sets(st.sampled_from(sorted(forms.LEFTOVERS))),
    workers=st.integers(1, 3),
)
def test_any_mixture(training, validation, leftovers, workers, mixtures):
    build, small_data, from_tars = mixtures
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "manual"
        folder.mkdir()
        forms.TRAINING_FORMS[training](small_data, folder)
        forms.VALIDATION_FORMS[validation](small_data, folder)
        for leftover in leftovers:
            forms.leave(folder, leftover)
        built = build(
            manual_dir=folder, data_dir=pathlib.Path(name) / "data", workers=workers
        )
        assert _files(built) == from_tars


@pytest.fixture
def mixtures(build, small_data, from_tars):
    return build, small_data, from_tars


def test_the_lists_order_and_extra_images_do_not_matter(
    build, small_data, from_tars, tmp_path
):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    forms.validation_flat("val")(small_data, folder)
    for number in range(300, 320):
        path = folder / "train" / "n01443537" / f"n01443537_{number}.JPEG"
        forms.write(path, archives.jpeg(number))
    forms.write(folder / "train" / "n99999999" / "n99999999_1.JPEG", b"unknown synset")
    assert _files(build(manual_dir=folder)) == from_tars


def test_half_sorted_validation_images(build, small_data, from_tars, tmp_path):
    folder = tmp_path / "form"
    forms.training_tar(small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    name, content = small_data.validation[0]
    next((folder / "val").glob(f"*/{name}")).unlink()
    forms.write(folder / "val" / name, content)
    assert _files(build(manual_dir=folder)) == from_tars


def test_names_with_the_wnid_appended_in_a_tar(build, small_data, from_tars, tmp_path):
    folder = tmp_path / "form"
    training = [(forms.appended(name), data) for name, data in forms.images(small_data)]
    validation = [(forms.appended(n), data) for n, data in small_data.validation]
    archives.write_manual_dir(
        folder, archives.tar_bytes(training), archives.tar_bytes(validation)
    )
    assert _files(build(manual_dir=folder)) == from_tars
    assert _files(build(manual_dir=folder, data_dir=tmp_path / "again")) == from_tars


@pytest.mark.parametrize(
    ("original", "form", "folder_name"),
    [
        (TRAINING, forms.training_tree("train"), "train"),
        (TRAINING, forms.synset_tars("train"), "train"),
        (VALIDATION, forms.validation_flat("val"), "val"),
    ],
)
def test_the_tar_comes_before_a_tree(
    build, small_data, tmp_path, capsys, original, form, folder_name
):
    form(small_data, small_data.manual_dir)
    for path in (small_data.manual_dir / folder_name).rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"not to be read")
    build()
    (line,) = _lines(capsys, "Takes ")
    assert f"from {small_data.manual_dir / original.file_name} (a tar" in line
    assert f"in {small_data.manual_dir / folder_name}" in line


@pytest.mark.parametrize("num_extracted", [1, 3])
def test_synset_tars_come_before_as_many_folders(
    build, small_data, from_tars, tmp_path, capsys, num_extracted
):
    folder = tmp_path / "form"
    forms.synset_tars("train")(small_data, folder)
    forms.validation_tar(small_data, folder)
    for wnid in [*small_data.training][:num_extracted]:
        for name, content in small_data.training[wnid]:
            forms.write(folder / "train" / wnid / name, content)
    assert _files(build(manual_dir=folder)) == from_tars
    (line,) = _lines(capsys, f"Takes training images from {folder / 'train'}")
    assert "3 synset tars" in line
    assert f"images in {folder / 'train'}" in line


def test_a_tar_left_behind_beside_folders(
    build, small_data, from_tars, tmp_path, capsys
):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    forms.validation_tar(small_data, folder)
    forms.write(folder / "train" / "n01440764.tar", b"left behind")
    assert _files(build(manual_dir=folder)) == from_tars
    (line,) = _lines(capsys, f"Takes training images from {folder / 'train'}")
    assert "extracted images, train/<wnid>/*.JPEG" in line
    assert f"1 synset tar in {folder / 'train'}" in line


def _lines(capsys, start):
    printed = capsys.readouterr().out
    return [line for line in printed.splitlines() if line.startswith(start)]


def test_an_empty_folder_does_not_hide_the_images(
    build, small_data, from_tars, tmp_path
):
    folder = tmp_path / "form"
    (folder / "train").mkdir(parents=True)
    (folder / "val" / "n01440764").mkdir(parents=True)
    forms.TRAINING_FORMS["Kaggle's"](small_data, folder)
    forms.VALIDATION_FORMS["Kaggle's"](small_data, folder)
    assert _files(build(manual_dir=folder)) == from_tars


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_none_of_the_forms(build, small_data, original):
    (small_data.manual_dir / original.file_name).unlink()
    (small_data.manual_dir / "pictures").mkdir()
    with pytest.raises(ManualDirError) as caught:
        build()
    message = str(caught.value)
    split = "train" if original == TRAINING else "val"
    parts = [original.file_name, f"{split}/<wnid>/*.JPEG", f"ILSVRC2012_img_{split}/"]
    parts += [f"ILSVRC/Data/CLS-LOC/{split}/", f"{split}/*_<wnid>.JPEG", "pictures"]
    parts += ["train/<wnid>.tar"] if original == TRAINING else ["val/*.JPEG"]
    assert not [part for part in parts if part not in message], message


def test_images_that_were_resized(build, small_data, tmp_path, caplog):
    folder = tmp_path / "form"
    forms.training_tree("train")(small_data, folder)
    forms.validation_flat("val")(small_data, folder)
    with caplog.at_level(logging.WARNING):
        build(manual_dir=folder)
    messages = [record.getMessage() for record in caplog.records]
    training, validation = [one for one in messages if "have been resized" in one]
    assert training.startswith(f"{folder / 'train'}: 6 images with 1,4")
    assert validation.startswith(f"{folder / 'val'}: 5 images with 1,4")


@pytest.mark.parametrize(
    "form", ["train/<wnid>/", "synset tars", "wnid appended, flat"]
)
def test_check_says_which_form_it_found(small_data, tmp_path, capsys, form):
    folder = tmp_path / "form"
    forms.TRAINING_FORMS[form](small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    assert main(["check", str(folder), "--sha256"]) == 1
    printed = capsys.readouterr().out
    assert "train: 12 of 1,281,167 images in 3 of 1,000 synsets" in printed
    said = {
        "train/<wnid>/": "extracted images, train/<wnid>/*.JPEG",
        "synset tars": "3 synset tars",
        "wnid appended, flat": "extracted images, train/*_<wnid>.JPEG",
    }
    assert said[form] in printed
    assert "val: is missing 49,995 of 50,000 images" in printed
    assert "images are expected in val/<wnid>/*.JPEG" in printed
    assert "train: sha256 not compared" in printed


@pytest.mark.parametrize(
    "form", ["the tar", "train/<wnid>/", "synset tars", "wnid appended, sorted"]
)
def test_a_dataset_is_checked_against_any_form(
    build, small_data, tmp_path, capsys, form
):
    built = build()
    folder = tmp_path / "form"
    folder.mkdir()
    forms.TRAINING_FORMS[form](small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    arguments = ["check", str(built.data_path), "--manual_dir", str(folder)]
    arguments += ["--subset_list", str(small_data.subset_list)]
    assert main(arguments) == 0, capsys.readouterr().out
    name = small_data.listed[0]
    (wnid,) = (w for w in small_data.training if name.startswith(w))
    small_data.training[wnid] = [
        (n, archives.jpeg(4711) if n == name else data)
        for n, data in small_data.training[wnid]
    ]
    shutil.rmtree(folder)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tmp_path / "form_disk")
    folder.mkdir()
    forms.TRAINING_FORMS[form](small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    capsys.readouterr()
    assert main(arguments) == 1
    assert name in capsys.readouterr().out
