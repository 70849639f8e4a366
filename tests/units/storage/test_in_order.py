"""Extents read in turn: directly from the disk, by advice, or portably."""

from __future__ import annotations

import concurrent.futures
import errno
import pathlib
from collections.abc import Sequence

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.storage.queue import Extent
from tests.conftest import read_split
from tests.shared import archives, direct_reads

SIZE = 3_000_001
DATA = np.random.default_rng(0).bytes(SIZE)
FILES = pytest.mark.parametrize("file_class", [LocalFile, PortableFile])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> epath.Path:
    path: pathlib.Path = tmp_path_factory.mktemp("in_order") / "archive.tar"
    path.write_bytes(DATA)
    return epath.Path(path)


@pytest.fixture
def direct(path: epath.Path) -> LocalFile:
    """That file, of which many extents are read directly."""
    return direct_reads.open_for_direct_reads(path)


def _read_all(file: File, extents: Sequence[Extent]) -> list[bytes]:
    return [bytes(data) for data in read_in_order(file, extents)]


def _expected(extents: Sequence[Extent]) -> list[bytes]:
    return [DATA[offset : offset + size] for offset, size in extents]


offsets = st.integers(0, SIZE) | st.builds(
    lambda page, near: min(SIZE, max(0, page * ALIGNMENT + near)),
    st.integers(0, SIZE // ALIGNMENT),
    st.integers(-1, 1),
)
# An image of more than half a megabyte is not read directly.
sizes = (
    st.integers(0, 6 * ALIGNMENT)
    | st.integers(0, SIZE)
    | st.integers((512 << 10) - 5000, (512 << 10) + 5000)
)
extent_lists = st.lists(
    st.builds(lambda o, s: Extent(o, min(s, SIZE - o)), offsets, sizes), max_size=50
)
MANY = [Extent(start, 1000 + start % 7000) for start in range(0, 2_900_000, 29_000)]


@settings(max_examples=100)
@given(extent_lists, st.sampled_from([LocalFile, PortableFile]))
def test_each_extent_comes_in_its_turn(path, extents, file_class):
    assert _read_all(file_class(path), extents) == _expected(extents)


@FILES
@pytest.mark.parametrize("number", [0, 1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 33])
def test_any_number_of_extents(path, file_class, number):
    extents = MANY[:number]
    assert _read_all(file_class(path), extents) == _expected(extents)


@FILES
def test_what_is_yielded_stays_until_the_next(path, file_class):
    # Only once the next is asked for may its memory be used again.
    for extent, data in zip(MANY, read_in_order(file_class(path), MANY), strict=True):
        (before,) = _expected([extent])
        assert data == before


def test_direct_reads_are_used_where_they_are_to_be_had(direct, monkeypatch):
    monkeypatch.delattr(LocalFile, "read")
    assert _read_all(direct, MANY) == _expected(MANY)


@pytest.mark.parametrize("before", [0, 1, 9, 30])
@FILES
def test_an_extent_beyond_the_end_is_an_error_that_says_where(path, file_class, before):
    extents = [Extent(0, 10)] * before + [Extent(SIZE - 5, 6)]
    with pytest.raises(ArchiveError, match=f"ends at byte {SIZE:,}"):
        _read_all(file_class(path), extents)


def test_what_was_read_before_an_error_is_yielded(path):
    found = read_in_order(LocalFile(path), [Extent(0, 10), Extent(SIZE - 5, 6)])
    assert next(found) == DATA[:10]
    with pytest.raises(ArchiveError, match=f"ends at byte {SIZE:,}"):
        next(found)


@pytest.mark.parametrize("after", [0, 5, 16, 20])
@pytest.mark.parametrize("result", [-errno.EIO, 0, 999])
def test_what_fails_directly_is_read_again(direct, monkeypatch, result, after):
    direct_reads.end_all(monkeypatch, result, after)
    assert _read_all(direct, MANY) == _expected(MANY)


@pytest.mark.parametrize("taken", [0, 3])
def test_what_the_kernel_does_not_take_is_read_by_itself(direct, monkeypatch, taken):
    direct_reads.submit_at_most(monkeypatch, taken)
    assert _read_all(direct, MANY) == _expected(MANY)


def test_where_submitting_takes_as_long_as_reading_advice_takes_over(
    direct, monkeypatch
):
    asked = direct_reads.submit_at_most(monkeypatch, None)
    monkeypatch.setattr(LinuxAio, "is_slow", property(lambda self: bool(asked)))
    assert _read_all(direct, MANY) == _expected(MANY)
    assert len(asked) == 1
    monkeypatch.delattr(LinuxAio, "submit")
    assert _read_all(direct, MANY) == _expected(MANY)


def test_who_stops_early_may_begin_again(direct, monkeypatch):
    for stop in (1, 9, 30):
        blocks = read_in_order(direct, MANY)
        for _ in range(stop):
            next(blocks)
        blocks.close()
    asked = direct_reads.submit_at_most(monkeypatch, None)
    backwards = MANY[::-1]
    assert _read_all(direct, backwards) == _expected(backwards)
    assert asked


def test_a_build_reads_all_shards_directly_and_sets_up_once_an_archive(
    direct, build, small_data, tmp_path, monkeypatch
):
    del direct
    wnid = "n01443537"
    small_data.training[wnid] = [
        (f"{wnid}_{n}.JPEG", archives.jpeg(n)) for n in range(60)
    ]
    small_data.validation = [
        (archives.validation_name(n), archives.jpeg(n)) for n in range(1, 61)
    ]
    small_data.subset_list.write_text(
        "\n".join(name for name, _ in small_data.training[wnid])
    )
    small_data.write()
    kept = tmp_path / "kept"
    build(data_dir=tmp_path / "before", download_dir=kept)  # Locates the images.
    asked = direct_reads.submit_at_most(monkeypatch, None)
    set_ups = direct_reads.note_set_ups(monkeypatch)
    built = build(workers=1, num_shards=3, download_dir=kept)
    assert sum(asked) == 2 * 60
    assert [pathlib.Path(one).name for one in sorted(set_ups)] == [
        "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar",
    ]
    read = {name: data for name, data, _ in read_split(built, "train")}
    assert read == dict(small_data.training[wnid])


@pytest.mark.parametrize("done_before", [0, 1, 16, 30])
def test_after_an_interrupt_nothing_of_before_is_taken_for_new(
    direct, monkeypatch, done_before
):
    wait = LinuxAio.wait
    done = 0

    def wait_and_be_interrupted(self, at_least):
        nonlocal done
        slots, lengths = wait(self, at_least)
        done += len(slots)
        if done > done_before:
            raise KeyboardInterrupt
        return slots, lengths

    with monkeypatch.context() as patch:
        patch.setattr(LinuxAio, "wait", wait_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            _read_all(direct, MANY)
    # Other bytes than before, so that what is left of those is noticed.
    others = [Extent(offset + 500, size) for offset, size in MANY[::-1]]
    assert _read_all(direct, others) == _expected(others)


def test_two_readers_of_one_thread_do_not_mix(direct):
    backwards = MANY[::-1]
    pairs = list(
        zip(
            map(bytes, read_in_order(direct, MANY)),
            map(bytes, read_in_order(direct, backwards)),
            strict=True,
        )
    )
    assert [one for one, _ in pairs] == _expected(MANY)
    assert [other for _, other in pairs] == _expected(backwards)


def test_threads_read_at_the_same_time(direct):
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: _read_all(direct, MANY), range(12)):
            assert found == _expected(MANY)
