"""A sample gives each class its share, and of each class keeps the first."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given, strategies as st

from imagenet2012_subset.page.sample import FairSample

_LABELS = st.lists(st.integers(0, 9), max_size=120)


def _sample(labels: list[int], capacity: int) -> dict[int, list[int]]:
    """Returns the positions that are kept of each label."""
    sample = FairSample[int](capacity)
    for position, label in enumerate(labels):
        if sample.wants(label):
            sample.add(label, position)
    return sample.by_label()


@given(_LABELS, st.integers(1, 60))
def test_it_is_as_full_as_can_be(labels, capacity):
    kept = _sample(labels, capacity)
    assert sum(map(len, kept.values())) == min(len(labels), capacity)


@given(_LABELS, st.integers(1, 60))
def test_it_keeps_the_first_of_each_class(labels, capacity):
    for label, kept in _sample(labels, capacity).items():
        positions = [i for i, other in enumerate(labels) if other == label]
        assert kept == positions[: len(kept)]


@given(_LABELS, st.integers(1, 60))
def test_no_class_is_cut_down_below_what_others_keep_but_for_one(labels, capacity):
    kept = _sample(labels, capacity)
    most = max(map(len, kept.values()), default=0)
    for label, count in collections.Counter(labels).items():
        mine = len(kept.get(label, []))
        assert mine == count or mine >= most - 1


def test_classes_are_in_order_and_those_without_an_item_are_not_there():
    sample = FairSample[str](2)
    sample.wants(7)
    sample.add(5, "a")
    sample.add(3, "b")
    assert list(sample.by_label().items()) == [(3, ["b"]), (5, ["a"])]


def test_what_it_does_not_want_it_refuses():
    sample = FairSample[str](1)
    sample.add(5, "a")
    assert not sample.wants(5)
    with pytest.raises(ValueError, match="enough of class 5"):
        sample.add(5, "b")
