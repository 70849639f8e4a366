"""A tar of tars: what is in it by construction, and how its walk goes."""

from __future__ import annotations

import tarfile

import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.tar.flat import BEGINNING_BYTES
from imagenet2012_subset.tar.headers import BLOCK
from imagenet2012_subset.tar.members import TarMembers
from imagenet2012_subset.tar.nested import walk_nested
from tests.shared.counting_file import CountingFile
from tests.shared.tars import (
    Entry,
    header,
    make_tar,
    nested_tars,
    opened,
    right_or_an_error,
    sealed,
    whole,
)


def _is_tar(name: bytes) -> bool:
    return name.endswith(b".tar")


def _inner(number: int, length: int) -> bytes:
    entries = [Entry(f"{number}/{i}", bytes([i]) * (i * 99)) for i in range(length)]
    return make_tar(entries, tarfile.GNU_FORMAT)


def _names(parts: list[TarMembers]) -> list[list[str]]:
    return [[name.decode() for name in part.names] for part in parts]


def test_inner_tars_are_walked_while_the_outer_one_is():
    # As long as the beginning of a tar that is walked before all else.
    first = Entry("long", bytes(BEGINNING_BYTES))
    entries = [Entry(f"{number}.tar", _inner(number, 20)) for number in range(40)]
    entries[0] = Entry("0.tar", make_tar([first], tarfile.GNU_FORMAT))
    data = make_tar(entries, tarfile.GNU_FORMAT)
    with opened(data, CountingFile) as file:
        parts = walk_nested(file, whole(file), _is_tar, in_flight=9)
        assert isinstance(file, CountingFile)
        # All headers of inner tars, eight at a time. Those of the outer one, one after
        # the other, would take 41 more.
        assert len(file.counts) < 40 * 21 / 8 + 41 - 20
    inner = [[f"{number}/{i}" for i in range(20)] for number in range(40)]
    assert _names(parts) == [[], ["long"], *inner[1:]]


@pytest.mark.parametrize("in_flight", [1, 2, 3, 64])
@pytest.mark.parametrize("first", ["1.tar", "README"])
def test_members_come_in_the_order_of_the_tars_however_many_are_walked(
    in_flight, first
):
    lengths = [9, 0, 3, 1, 30, 0, 2]
    entries = [
        Entry(first, _inner(99, 2)),
        *(Entry(f"{n}.tar", _inner(n, length)) for n, length in enumerate(lengths)),
        Entry("empty.tar"),
        Entry("LICENSE", b"x" * 700),
        Entry("last.tar", _inner(100, 1)),
    ]
    data = make_tar(entries, tarfile.PAX_FORMAT)
    with opened(data) as file:
        parts = walk_nested(file, whole(file), _is_tar, in_flight=in_flight)
    inner = [[f"{n}/{i}" for i in range(length)] for n, length in enumerate(lengths)]
    if first == "README":
        assert _names(parts) == [["README", "LICENSE"], *inner, [], ["100/0"]]
    else:
        outer = [["LICENSE"], ["99/0", "99/1"]]
        assert _names(parts) == [*outer, *inner, [], ["100/0"]]
    for part in parts:
        for name, offset, size, _ in zip(*part, strict=True):
            if b"/" in name:
                number = int(name.rpartition(b"/")[2])
                assert data[offset : offset + size] == bytes([number]) * (number * 99)


@settings(deadline=None, max_examples=150)
@given(
    nested_tars(),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=9))),
    st.sampled_from([0, 1, BLOCK, 4 * BLOCK]),
    st.sampled_from([1, 2, 3, 64]),
)
def test_how_much_is_walked_first_changes_nothing(made, damage, beginning, in_flight):
    data = bytearray(made[1])
    for at, bytes_there in damage:
        data[at % len(data) : at % len(data) + len(bytes_there)] = bytes_there

    def walked(**options: int) -> list[TarMembers] | None:
        with opened(bytes(data)) as file:
            return walk_nested(file, whole(file), _is_tar, **options)

    at_once = right_or_an_error(
        data, lambda _: walked(beginning_bytes=beginning, in_flight=in_flight)
    )
    assert at_once == right_or_an_error(data, lambda _: walked(in_flight=1))


def test_tars_behind_a_long_file_are_found_and_progress_adds_up(tmp_path):
    # No tar is in the beginning, by which the way to walk is chosen.
    inner = _inner(7, 5)
    long = sealed(header("README", 9 << 20))
    path = tmp_path / "archive.tar"
    with path.open("wb") as file:
        file.write(long)
        file.seek(BLOCK + (9 << 20))
        file.write(make_tar([Entry("7.tar", inner), Entry("8.tar")], 1))
    steps: list[int] = []
    archive = LocalFile(epath.Path(path))
    parts = walk_nested(archive, whole(archive), _is_tar, on_progress=steps.append)
    assert _names(parts) == [["README"], [f"7/{i}" for i in range(5)], []]
    assert sum(steps) == archive.size


def test_progress_is_that_of_the_inner_tars():
    entries = [Entry(f"{number}.tar", _inner(number, 40)) for number in range(9)]
    data = make_tar(entries, tarfile.GNU_FORMAT)
    steps: list[int] = []
    with opened(data) as file:
        walk_nested(file, whole(file), _is_tar, in_flight=3, on_progress=steps.append)
    assert sum(steps) == len(data)
    assert min(steps) >= 0
    assert max(steps) < len(data) / 3
