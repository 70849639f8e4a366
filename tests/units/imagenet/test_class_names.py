"""Names of the classes, by label or WordNet id."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, strategies as st

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


@given(st.integers(0, 999), st.sampled_from([np.int64, np.uint16, np.array, np.int32]))
def test_integers_of_numpy_are_labels(label, kind):
    assert class_name(kind(label)) == class_names()[label]


def test_a_name_is_the_first_lemma_wherever_no_other_class_has_it():
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


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        1000,
        2**70,
        True,
        False,
        np.True_,
        0.0,
        7.5,
        np.float32(7),
        None,
        b"n01440764",
    ],
)
@pytest.mark.parametrize("lookup", [class_name, class_lemmas])
def test_other_value_is_an_error_that_shows_it(lookup, wrong):
    with pytest.raises(ValueError, match="neither a label") as caught:
        lookup(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "tench", "n00001740", "N01440764", "n01440764 "])
def test_an_unknown_wnid_is_an_error_that_shows_it(wrong):
    with pytest.raises(ValueError, match="is not one of ILSVRC 2012's 1,000") as caught:
        class_name(wrong)
    assert repr(wrong) in str(caught.value)


def test_importing_the_package_reads_no_names():
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0]))"
        " if event == 'open' else None)\n"
        "import imagenet2012_subset\n"
        "before = any('class_names.tsv' in path for path in opened)\n"
        "imagenet2012_subset.class_name(0)\n"
        "after = any('class_names.tsv' in path for path in opened)\n"
        "assert (before, after) == (False, True), (before, after)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
