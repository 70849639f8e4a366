"""Places read in turn: directly from the disk, by advice, or portably."""

from __future__ import annotations

import concurrent.futures
import pathlib
from collections.abc import Sequence

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset import linux_aio, read_ahead
from imagenet2012_subset.archive_file import ArchiveFile, LocalFile, PortableFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.read_ahead import Place, read_in_order
from tests import direct_reads

SIZE = 3_000_001
DATA = np.random.default_rng(0).bytes(SIZE)
SHORT = 3 * ALIGNMENT  # What is longer is read by itself in these tests.


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> epath.Path:
    path: pathlib.Path = tmp_path_factory.mktemp("read_ahead") / "archive.tar"
    path.write_bytes(DATA)
    return epath.Path(path)


@pytest.fixture
def direct(path: epath.Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """That file, of which even a single place is read directly."""
    monkeypatch.setattr(read_ahead, "_WORTH_A_SET_UP", 1)
    return direct_reads.open_for_direct_reads(path)


def _read_all(file: ArchiveFile, places: Sequence[Place]) -> list[bytes]:
    return [bytes(block) for block in read_in_order(file, places)]


def _expected(places: Sequence[Place]) -> list[bytes]:
    return [DATA[offset : offset + size] for offset, size in places]


offsets = st.integers(0, SIZE) | st.builds(
    lambda page, near: min(SIZE, max(0, page * ALIGNMENT + near)),
    st.integers(0, SIZE // ALIGNMENT),
    st.integers(-1, 1),
)
sizes = st.integers(0, 2 * SHORT) | st.integers(0, SIZE)
MANY = [(start, 1000 + start % 7000) for start in range(0, 2_900_000, 29_000)]


@settings(max_examples=60)
@given(
    st.lists(st.builds(lambda o, s: (o, min(s, SIZE - o)), offsets, sizes)),
    st.sampled_from([LocalFile, PortableFile]),
    st.sampled_from([1, 5, 1000]),
)
def test_each_place_comes_in_its_turn(path, places, file_class, worth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_ahead, "_WORTH_A_SET_UP", worth)
        patch.setattr(read_ahead, "_DIRECT_BYTES", SHORT)
        assert _read_all(file_class(path), places) == _expected(places)


def test_direct_reads_are_used_where_they_are_to_be_had(direct, monkeypatch):
    monkeypatch.delattr(LocalFile, "read")
    assert _read_all(direct, MANY) == _expected(MANY)


@pytest.mark.parametrize("worth", [1, 1000])
def test_a_place_beyond_the_end_is_an_error_that_says_where(path, monkeypatch, worth):
    monkeypatch.setattr(read_ahead, "_WORTH_A_SET_UP", worth)
    places = [(0, 10), (SIZE - 5, 6)]
    blocks = read_in_order(LocalFile(path), places)
    assert bytes(next(blocks)) == DATA[:10]
    with pytest.raises(ArchiveError, match=f"ends at byte {SIZE:,}"):
        next(blocks)


def test_what_fails_directly_is_read_again(direct, monkeypatch):
    direct_reads.fail_all(monkeypatch)
    assert _read_all(direct, MANY) == _expected(MANY)


@pytest.mark.parametrize("taken", [0, 3])
def test_what_the_kernel_does_not_take_is_read_by_itself(direct, monkeypatch, taken):
    direct_reads.submit_at_most(monkeypatch, taken)
    assert _read_all(direct, MANY) == _expected(MANY)


def test_where_submitting_takes_as_long_as_reading_advice_takes_over(
    direct, monkeypatch
):
    monkeypatch.setattr(linux_aio, "_JUDGED_AFTER", 1)
    monkeypatch.setattr(linux_aio, "_SLOW_SECONDS_A_READ", 0)
    assert _read_all(direct, MANY) == _expected(MANY)
    monkeypatch.delattr(LinuxAio, "submit")
    assert _read_all(direct, MANY) == _expected(MANY)


def test_who_stops_early_may_begin_again(direct, monkeypatch):
    for stop in (1, 9, 30):
        blocks = read_in_order(direct, MANY)
        for _ in range(stop):
            next(blocks)
        blocks.close()
    given = direct_reads.submit_at_most(monkeypatch, None)
    assert _read_all(direct, MANY) == _expected(MANY)
    assert given


def test_a_build_reads_all_shards_directly_and_sets_up_once_an_archive(
    direct, build, small_data, monkeypatch
):
    del direct
    given = direct_reads.submit_at_most(monkeypatch, None)
    set_up = LocalFile.direct_reads
    archives = []

    def set_up_and_note(self, capacity, size):
        archives.append(self.path.name)
        return set_up(self, capacity, size)

    monkeypatch.setattr(LocalFile, "direct_reads", set_up_and_note)
    build(workers=1, num_shards=3)
    assert sum(given) == len(small_data.listed) + len(small_data.validation)
    assert sorted(archives) == ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"]


def test_after_an_interrupt_nothing_of_before_is_taken_for_new(direct, monkeypatch):
    wait = LinuxAio.wait

    def wait_and_be_interrupted(self, at_least):
        wait(self, at_least)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LinuxAio, "wait", wait_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            _read_all(direct, MANY)
    assert _read_all(direct, MANY) == _expected(MANY)


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
