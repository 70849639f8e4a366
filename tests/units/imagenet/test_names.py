"""Names of images and of the 1,000 classes."""

import collections
import re

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet import names


def test_classes_are_a_thousand_wordnet_ids_in_sorted_order():
    wnids = names.wnids()
    assert len(set(wnids)) == 1000
    assert list(wnids) == sorted(wnids)
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in wnids)
    assert (wnids[0], wnids[999]) == ("n01440764", "n15075141")
    label = tfds.features.ClassLabel(names_file=names.wnids_file())
    assert tuple(label.names) == wnids


def test_each_class_has_fifty_validation_images():
    counts = collections.Counter(names.validation_wnids())
    assert counts == dict.fromkeys(names.wnids(), 50)


@pytest.mark.parametrize(
    ("number", "wnid"),
    # As the development kit of ILSVRC 2012 has them.
    [(1, "n01751748"), (2, "n09193705"), (3, "n02105855"), (50_000, "n02437616")],
)
def test_the_number_of_a_validation_image_determines_its_class(number, wnid):
    name = f"ILSVRC2012_val_{number:08d}.JPEG"
    assert names.validation_name(number) == name
    assert names.validation_number(name) == number
    assert names.training_wnid(name) is None
    assert names.wnid(name) == wnid


@pytest.mark.parametrize("number", ["0", "18", "9999999999"])
def test_the_name_of_a_training_image_contains_its_class(number):
    name = f"n01440764_{number}.JPEG"
    assert names.wnid(name) == names.training_wnid(name) == "n01440764"
    assert names.validation_number(name) is None


@pytest.mark.parametrize("wnid", ["n0144076", "n014407640", "x01440764", "n0144076१"])
def test_a_wnid_has_eight_digits(wnid):
    assert not names.is_wnid(wnid)
    assert names.is_wnid("n01440764")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "n01440764",
        "n01440764_1",
        "n01440764_1.jpeg",
        "n01440764_1.JPEG\n",
        " n01440764_1.JPEG",
        "n01440764/n01440764_1.JPEG",
        "n00001740_1.JPEG",
        "ILSVRC2012_val_00000000.JPEG",
        "ILSVRC2012_val_00050001.JPEG",
        "ILSVRC2012_val_1.JPEG",
        "ILSVRC2012_test_00000001.JPEG",
        "n01440764_\N{ARABIC-INDIC DIGIT ONE}.JPEG",
        "ILSVRC2012_val_0000000\N{ARABIC-INDIC DIGIT ONE}.JPEG",
    ],
)
def test_any_other_name_is_an_error_that_shows_it(name):
    problem = "is not the name of a training or validation"
    with pytest.raises(ValueError, match=problem) as caught:
        names.wnid(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name", "appended"),
    [
        (b"n01440764_18.JPEG", b"n01440764_18.JPEG", None),
        (b"a/b\n/n01440764_18.JPEG", b"n01440764_18.JPEG", None),
        (b"n01440764_18_n01443537.JPEG", b"n01440764_18.JPEG", b"n01443537"),
        (
            b"x/ILSVRC2012_val_00000001_n01443537.JPEG",
            b"ILSVRC2012_val_00000001.JPEG",
            b"n01443537",
        ),
        (b"ILSVRC2012_test_00000001.JPEG", b"ILSVRC2012_test_00000001.JPEG", None),
        (b"", None, None),
        (b"n01440764_18", None, None),
        (b"n01440764_18.jpeg", None, None),
        (b"n01440764_18.JPG", None, None),
        (b"n01440764_18.JPEG\n", None, None),
        (b"._n01440764_18.JPEG", None, None),
        (b"n01440764_12345678901.JPEG", None, None),
        (b"n01440764_18_n0144076.JPEG", None, None),
        (b"n01440764_18_n01440764_n01440764.JPEG", None, None),
        (b"ILSVRC2012_train_00000001.JPEG", None, None),
    ],
)
def test_the_last_part_of_a_path_names_an_image(path, name, appended):
    parsed = names.parse_path(path)
    assert parsed == (None if name is None else (name, appended))
    assert names.are_image_names([path, path]) == (path == name)


@pytest.mark.parametrize(
    ("name", "claimed", "truth"),
    [
        ("n01440764_18.JPEG", "n01443537", "n01440764"),
        ("n01440764_18.JPEG", "n01440764", None),
        ("n99999999_18.JPEG", "n01440764", None),
        ("ILSVRC2012_val_00000293.JPEG", "n01443537", "n01440764"),
        ("ILSVRC2012_val_00000293.JPEG", "n01440764", None),
        ("ILSVRC2012_test_00000001.JPEG", "n01440764", None),
    ],
)
def test_a_folder_or_suffix_can_differ_from_the_class_of_an_image(name, claimed, truth):
    assert names.mismatched_wnid(name, claimed) == truth
