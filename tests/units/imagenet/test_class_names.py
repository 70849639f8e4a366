"""Names of the classes, by label or WordNet id."""

import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import class_name, class_names
from imagenet2012_subset.imagenet.class_names import class_lemmas

_LABELS = tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()


def test_names_are_distinct_words_in_the_order_of_the_labels():
    assert class_names() == tuple(class_name(wnid) for wnid in _LABELS)
    assert len({name.casefold() for name in class_names()}) == len(_LABELS) == 1000
    for name in class_names():
        assert re.fullmatch(r"[A-Za-z][A-Za-z'.\- ]*( \([a-z ]+\))?", name), name
        assert name == name.strip()


@pytest.mark.parametrize(
    ("label", "wnid", "name"),
    [
        (0, "n01440764", "tench"),
        (134, "n02012849", "crane (bird)"),
        (264, "n02113186", "Cardigan Welsh corgi"),
        (474, "n02963159", "cardigan"),
        (517, "n03126707", "crane (machine)"),
        (607, "n03590841", "jack-o'-lantern"),
        (638, "n03710637", "maillot (tights)"),
        (639, "n03710721", "maillot (tank suit)"),
        (999, "n15075141", "toilet tissue"),
    ],
)
def test_a_class_by_its_label_or_its_wnid(label, wnid, name):
    assert class_name(label) == class_name(wnid) == class_names()[label] == name
    for kind in (np.int64, np.uint16, np.array):
        assert class_name(kind(label)) == name


def test_a_name_is_the_first_lemma_unless_another_class_has_it():
    others = {
        label: class_lemmas(label)[0]
        for label, name in enumerate(class_names())
        if name != class_lemmas(label)[0]
    }
    assert others == {
        134: "crane",
        264: "Cardigan",
        517: "crane",
        638: "maillot",
        639: "maillot",
    }
    assert class_lemmas("n01440764") == ("tench", "Tinca tinca")
    assert class_lemmas(639) == ("maillot", "tank suit")


_NO_LABELS = [-1, 1000, 2**70, True, np.True_, 7.5, np.float32(7), None, b"n01440764"]
_NO_WNIDS = ["", "tench", "n00001740", "N01440764", "n01440764 "]


@pytest.mark.parametrize("wrong", [*_NO_LABELS, *_NO_WNIDS])
@pytest.mark.parametrize("lookup", [class_name, class_lemmas])
def test_any_other_value_is_an_error_that_shows_it(lookup, wrong):
    problem = "is not one of ILSVRC" if isinstance(wrong, str) else "neither a label"
    with pytest.raises(ValueError, match=problem) as caught:
        lookup(wrong)
    assert repr(wrong) in str(caught.value)
