"""Builds from every form of ImageNet give the same dataset as the archives."""

import itertools
import pathlib
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from imagenet2012_subset import ManualDirError
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.shared import archives, forms
from tests.shared.final_place import contents


@pytest.fixture
def folder(tmp_path):
    """An empty manual directory."""
    folder = tmp_path / "form"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("training", "validation"),
    zip(forms.TRAINING_FORMS, itertools.cycle(forms.VALIDATION_FORMS)),
)
def test_every_form(rule, small_data, folder, training, validation):
    forms.TRAINING_FORMS[training](small_data, folder)
    forms.VALIDATION_FORMS[validation](small_data, folder)
    rule.builds(manual_dir=folder)


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
def test_any_mixture(training, validation, leftovers, workers, rule, small_data):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "manual"
        folder.mkdir()
        forms.TRAINING_FORMS[training](small_data, folder)
        forms.VALIDATION_FORMS[validation](small_data, folder)
        for leftover in leftovers:
            forms.leave(folder, leftover)
        rule.builds(manual_dir=folder, workers=workers)


def test_extra_images_do_not_matter(build, small_data, folder, tmp_path):
    forms.training_tree("train")(small_data, folder)
    forms.validation_flat("val")(small_data, folder)
    for number in range(300, 320):
        path = folder / "train" / "n01443537" / f"n01443537_{number}.JPEG"
        forms.write(path, archives.jpeg(number))
    forms.write(folder / "train" / "n99999999" / "n99999999_1.JPEG", b"unknown synset")
    from_tars = build(data_dir=tmp_path / "from_tars")
    from_tree = build(manual_dir=folder)
    assert contents(from_tree.data_path) == contents(from_tars.data_path)


def test_half_sorted_validation_images(rule, small_data, folder):
    forms.training_tar(small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    name, content = small_data.validation[0]
    next((folder / "val").glob(f"*/{name}")).unlink()
    forms.write(folder / "val" / name, content)
    rule.builds(manual_dir=folder)


def test_names_with_the_wnid_appended_in_a_tar(rule, small_data, folder):
    training = [(forms.appended(name), data) for name, data in forms.images(small_data)]
    validation = [(forms.appended(n), data) for n, data in small_data.validation]
    archives.write_manual_dir(
        folder, archives.tar_bytes(training), archives.tar_bytes(validation)
    )
    rule.builds(manual_dir=folder)


def test_the_tar_comes_before_what_was_extracted(rule, small_data, capsys):
    folder = small_data.manual_dir
    forms.synset_tars("train")(small_data, folder)
    forms.validation_flat("val")(small_data, folder)
    for path in [*folder.glob("train/*"), *folder.glob("val/*")]:
        path.write_bytes(b"not to be read")
    capsys.readouterr()
    rule.builds()
    line = _takes(capsys)
    assert f"from {folder / TRAINING.file_name} (a tar" in line
    assert f"in {folder / 'train'}" in line
    assert f"in {folder / 'val'}" in line


@pytest.mark.parametrize("num_extracted", [1, 3])
def test_synset_tars_before_as_many_folders(
    rule, small_data, folder, capsys, num_extracted
):
    forms.synset_tars("train")(small_data, folder)
    forms.validation_tar(small_data, folder)
    for wnid in [*small_data.training][:num_extracted]:
        for name, content in small_data.training[wnid]:
            forms.write(folder / "train" / wnid / name, content)
    capsys.readouterr()
    rule.builds(manual_dir=folder)
    line = _takes(capsys)
    assert f"from {folder / 'train'} (3 synset tars" in line
    assert f"images in {folder / 'train'}" in line


def test_a_tar_left_behind_beside_folders(rule, small_data, folder, capsys):
    forms.training_tree("train")(small_data, folder)
    forms.validation_tar(small_data, folder)
    forms.write(folder / "train" / "n01440764.tar", b"left behind")
    capsys.readouterr()
    rule.builds(manual_dir=folder)
    line = _takes(capsys)
    assert f"from {folder / 'train'} (extracted images, train/<wnid>/*.JPEG" in line
    assert f"1 synset tar in {folder / 'train'}" in line


def _takes(capsys):
    """Returns the line that says which forms the build reads."""
    printed = capsys.readouterr().out.splitlines()
    (line,) = [line for line in printed if line.startswith("Takes ")]
    return line


def test_an_empty_folder_does_not_hide_the_images(rule, small_data, folder):
    (folder / "train").mkdir()
    (folder / "val" / "n01440764").mkdir(parents=True)
    forms.TRAINING_FORMS["Kaggle's"](small_data, folder)
    forms.VALIDATION_FORMS["Kaggle's"](small_data, folder)
    rule.builds(manual_dir=folder)


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


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("train/<wnid>/", "extracted images, train/<wnid>/*.JPEG"),
        ("synset tars", "3 synset tars"),
        ("wnid appended, flat", "extracted images, train/*_<wnid>.JPEG"),
    ],
)
def test_check_says_which_form_it_found(small_data, folder, capsys, form, said):
    forms.TRAINING_FORMS[form](small_data, folder)
    forms.validation_sorted("val")(small_data, folder)
    assert main(["check", str(folder), "--sha256"]) == 1
    printed = capsys.readouterr().out
    assert "train: 12 of 1,281,167 images in 3 of 1,000 synsets" in printed
    assert said in printed
    assert "val: is missing 49,995 of 50,000 images" in printed
    assert "images are expected in val/<wnid>/*.JPEG" in printed
    assert "train: sha256 not compared" in printed
