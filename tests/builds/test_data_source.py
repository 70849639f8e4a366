"""Data sources that are read before and after a fork."""

import itertools
import multiprocessing
import os
import pathlib
import signal
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import DatasetError
from imagenet2012_subset.data_source import after_fork
from imagenet2012_subset.data_source.after_fork import readable_after_fork

_PATIENCE = 300  # Seconds, after which a child is taken to hang.


def _file_names(source):
    one_by_one = [source[i]["file_name"] for i in range(len(source))]
    # A batch from several files is read in threads.
    together = source.__getitems__(list(reversed(range(len(source)))))
    assert [example["file_name"] for example in together] == one_by_one[::-1]
    return one_by_one


@pytest.fixture
def builder(build):
    pytest.importorskip("array_record.python", reason="array_record is not installed")
    return build(file_format="array_record", num_shards=2)


_inherited = None


@pytest.fixture
def source(builder, monkeypatch):
    """A data source that was read, and which forked children inherit."""
    source = builder.as_data_source("train")
    _file_names(source)
    monkeypatch.setitem(globals(), "_inherited", source)
    return source


def _in_forked_workers(function, arguments, num_workers=2):
    with multiprocessing.get_context("fork").Pool(num_workers) as pool:
        return pool.map_async(function, arguments).get(timeout=_PATIENCE)


def _read_inherited(index):
    return _inherited[index]["file_name"]


def test_has_all_examples_and_decodes_them(builder, source, small_data):
    assert sorted(_file_names(source)) == sorted(
        name.encode() for name in small_data.listed
    )
    images = dict(itertools.chain(*small_data.training.values()))
    skipping = builder.as_data_source(
        "train", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for decoded, encoded in zip(source, skipping, strict=True):
        assert decoded["image"].dtype == np.uint8
        assert encoded["image"] == images[encoded["file_name"].decode()]


def test_takes_every_form_of_split(builder, source):
    names = _file_names(source)
    everything = builder.as_data_source()
    assert sorted(everything) == ["train", "validation"]
    assert _file_names(everything["train"]) == names
    parts = builder.as_data_source(["train[:2]", "train[2:]"])
    assert [_file_names(part) for part in parts] == [names[:2], names[2:]]


def test_is_refused_in_a_format_without_random_access(build):
    with pytest.raises(DatasetError, match="no file format with random access"):
        build().as_data_source("train")


def test_child_of_a_fork_reads_what_its_parent_read(source):
    names = _file_names(source)
    for _ in range(5):  # A reader that a fork has broken does not crash each time.
        pid = os.fork()
        if pid == 0:
            signal.alarm(_PATIENCE)
            try:
                os._exit(0 if _file_names(source) == names else 2)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert _file_names(source) == names


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_worker_reads_what_its_parent_read(source, method):
    names = _file_names(source)
    with multiprocessing.get_context(method).Pool(1) as pool:
        read = pool.map_async(_file_names, [source] * 2, chunksize=1)
        assert read.get(timeout=_PATIENCE) == [names] * 2
    assert _file_names(source) == names


def _fork_again(_):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _file_names(_inherited) else 1)
    return os.waitpid(pid, 0)[1], _file_names(_inherited)


def test_forked_workers_can_inherit_the_source(source):
    names = _file_names(source)
    assert _in_forked_workers(_read_inherited, range(len(source))) == names
    assert _in_forked_workers(_fork_again, range(2)) == [(0, names)] * 2


def test_error_of_a_reader_reaches_the_child(builder, source):
    for path in builder.data_path.glob("*train*"):
        path.write_bytes(b"")
    with pytest.raises(Exception, match="ArrayRecord file"):
        _in_forked_workers(_read_inherited, [0])


def _kill_own_children_and_read(index):
    _read_inherited(index)
    me = str(os.getpid())
    children = pathlib.Path(f"/proc/{me}/task/{me}/children").read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    return _read_inherited(index)


@pytest.mark.skipif(sys.platform != "linux", reason="finds a child through /proc")
def test_end_of_the_process_that_reads_is_an_error(source):
    del source
    with pytest.raises(RuntimeError, match="ended, status -9"):
        _in_forked_workers(_kill_own_children_and_read, [0], num_workers=1)


def _read_after_an_interrupt(index):
    _read_inherited(0)

    def interrupt(file):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(after_fork.pickle, "load", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _read_inherited(index)
    return _read_inherited(index + 1)


def test_an_interrupted_read_leaves_no_answer_for_the_next_one(source):
    names = _file_names(source)
    assert _in_forked_workers(_read_after_an_interrupt, [1]) == [names[2]]


def test_source_of_a_builder_from_files_can_be_made_readable_too(builder, monkeypatch):
    of_files = tfds.builder_from_directory(builder.data_dir).as_data_source("train")
    source = readable_after_fork(of_files)
    assert readable_after_fork(source) is source
    names = _file_names(source)
    monkeypatch.setitem(globals(), "_inherited", source)
    assert _in_forked_workers(_read_inherited, range(len(source))) == names


def test_workers_of_pytorch_read_what_their_parent_read(source):
    reason = "torch is not installed"
    loader = pytest.importorskip("torch.utils.data", reason=reason).DataLoader
    names = _file_names(source)
    for _ in range(2):
        batches = loader(
            source, batch_size=2, num_workers=2, collate_fn=list, timeout=_PATIENCE
        )
        read = [example["file_name"] for batch in batches for example in batch]
        assert read == names
