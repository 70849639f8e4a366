"""Entries as columns, with the table of the files that they are in."""

import numpy as np
import pytest

from imagenet2012_subset.sources.source import Entries, Entry
from imagenet2012_subset.storage.files import FileTable

TABLE = FileTable(("a", "b", "c"), np.array([10, 20, 30]), np.array([1, 2, 3]))
NAMES = [b"n01440764_1.JPEG", b"n01440764_22.JPEG", b"n01440764_3.JPEG", b"x"]
ENTRIES = Entries.from_columns(
    TABLE, NAMES, [2, 0, 2, 1], [5, 6, 7, 8], [1, 2, 3, 4], [-1, 2**40, 9, 0]
)


def _rows(entries: Entries) -> list[tuple[object, ...]]:
    """Entries without the index of their file, which depends on the table."""
    return [(e.name, e.path, e.offset, e.size, e.seal) for e in entries]


def test_entries_are_rows_of_the_columns():
    assert len(ENTRIES) == 4
    assert ENTRIES[1] == Entry("n01440764_22.JPEG", "a", 0, 6, 2, 2**40)
    assert list(ENTRIES) == [ENTRIES[i] for i in range(4)]
    assert [type(value) for value in ENTRIES[0]] == [str, str, int, int, int, int]


@pytest.mark.parametrize(
    ("indices", "rows", "paths"),
    [
        ([3, 0], [3, 0], ("b", "c")),
        ([0, 2], [0, 2], ("c",)),
        ([0, 0], [0, 0], ("c",)),
        ([-1], [3], ("b",)),
        ([], [], ()),
        ([False] * 4, [], ()),
        ([True, False, False, True], [0, 3], ("b", "c")),
        (np.arange(1, 4), [1, 2, 3], ("a", "b", "c")),
    ],
)
def test_taken_entries_have_only_the_files_that_they_are_in(indices, rows, paths):
    taken = ENTRIES.take(indices)
    assert _rows(taken) == [_rows(ENTRIES)[i] for i in rows]
    assert taken.table.paths == paths
    positions = ["abc".index(path) for path in paths]
    assert taken.table.sizes.tolist() == TABLE.sizes[positions].tolist()
    assert taken.table.changed_ns.tolist() == TABLE.changed_ns[positions].tolist()
    assert taken.files.dtype == np.int32
    assert _rows(taken.take(range(len(taken)))) == _rows(taken)


def test_entries_can_be_empty():
    assert not list(Entries.from_columns(TABLE))
