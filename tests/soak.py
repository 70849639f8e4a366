"""Loads builds as years of use would; run by hand, not by pytest.

    python tests/soak.py repeat --times 200
    python tests/soak.py together --times 8
    python tests/soak.py kill --times 50

Trials:
  repeat: builds in one process, from tars, synset tars and trees, alternately. Prints
    memory, open files and threads every 20 builds; none of them may grow.
  together: processes that build from the same archives into one `data_dir`: each its
    own config, and then all the same one.
  kill: builds killed at random moments while they build a new dataset, overwrite one or
    add a file format. The final place always has a whole dataset or nothing, and the
    next build leaves the right dataset and nothing beside it.

Compares every dataset with one that was built without load, shard by shard. Each trial
ends with a line of figures, or with an error and the directory to look into.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import io
import multiprocessing
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import tensorflow_datasets as tfds

from imagenet2012_subset import Builder, SubsetConfig
from imagenet2012_subset.imagenet.names import wnids
from tests.conftest import SmallData
from tests.shared import archives, forms

Shards = dict[str, bytes]

_LISTS = 8
_SYNSETS = 60
_IMAGES = 24
_VALIDATION = 400
_SHARDS = 8

# TFDS keeps every builder, each with the names of 1,000 classes twice.
_KB_A_BUILD = 400

# A server that has imported everything starts a process quickly.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tensorflow", "tests.soak"])


class Made:
    """Archives in three forms, subset lists, and the dataset of each list and format.

    Attributes:
      manual_dirs: of tars, of synset tars and of trees, with the same images.
      lists: paths of subset lists.
    """

    def __init__(self, folder: pathlib.Path):
        training = {
            wnid: [(f"{wnid}_{n}.JPEG", _image(i, n)) for n in range(_IMAGES)]
            for i, wnid in enumerate(wnids()[::16][:_SYNSETS])
        }
        validation = [
            (archives.validation_name(n), _image(9999, n))
            for n in range(1, _VALIDATION + 1)
        ]
        self._folder = folder
        tars, synset_tars, trees = (folder / name for name in ("tar", "synset", "tree"))
        data = SmallData(tars, folder / "list_0.txt", training, validation)
        data.write()
        forms.synset_tars("train")(data, synset_tars)
        forms.validation_sorted("val")(data, synset_tars)
        forms.training_tree("train")(data, trees)
        forms.validation_flat("val")(data, trees)
        self.manual_dirs = [tars, synset_tars, trees]
        names = [name for images in training.values() for name, _ in images]
        self.lists = []
        for number in range(_LISTS):
            path = folder / f"list_{number}.txt"
            listed = random.Random(number).sample(names, len(names) // 2)
            path.write_text("\n".join(listed))
            self.lists.append(path)
        self._right: dict[tuple[int, str], Shards] = {}

    def right(self, number: int, file_format: str) -> Shards:
        """Returns the shards of a list's dataset in a format, built without load."""
        key = number, file_format
        if key not in self._right:
            data_dir = self._folder / f"clean_{number}_{file_format}"
            config = self.config(number)
            final = build(self.manual_dirs[0], config, data_dir, file_format)
            self._right[key] = shards(final)
        return self._right[key]

    def config(self, number: int, name: str | None = None) -> SubsetConfig:
        return SubsetConfig(
            name=name or f"list_{number}",
            subset_list=os.fspath(self.lists[number]),
            validation_images=_VALIDATION,
        )


def _image(synset: int, number: int) -> bytes:
    return archives.jpeg(1000 * synset + number, (72, 64))


def build(
    manual_dir: pathlib.Path,
    config: SubsetConfig,
    data_dir: pathlib.Path,
    file_format: str = "tfrecord",
    *,
    overwrite: bool = False,
) -> pathlib.Path:
    """Builds a dataset, and returns its directory."""
    tfds.disable_progress_bar()
    builder = Builder(
        config=config, data_dir=data_dir, workers=2, file_format=file_format
    )
    mode = tfds.GenerateMode.REUSE_DATASET_IF_EXISTS
    if overwrite:
        mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(
            download_dir=data_dir.parent / "downloads",
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir, num_shards=_SHARDS, download_mode=mode
            ),
        )
    return pathlib.Path(builder.data_path)


def shards(final: pathlib.Path) -> Shards:
    """Returns the bytes of a dataset's shards by name."""
    return {
        path.name: path.read_bytes() for path in final.glob("imagenet2012_subset-*")
    }


def repeat(folder: pathlib.Path, times: int) -> str:
    made = Made(folder)
    right = [made.right(number, "tfrecord") for number in range(_LISTS)]
    in_use: list[tuple[int, int, int]] = []
    for number in range(1, times + 1):
        data_dir = folder / "repeated" / "data"
        manual_dir = made.manual_dirs[number % 3]
        config = made.config(number % _LISTS)
        assert shards(build(manual_dir, config, data_dir)) == right[number % _LISTS]
        shutil.rmtree(data_dir.parent)
        if number % 20 == 0:
            gc.collect()
            in_use.append(_in_use())
            memory, files, threads = in_use[-1]
            print(
                f"after {number} builds: {memory} KB, {files} files, {threads} threads"
            )
    (memory, *settled), (last_memory, *last) = in_use[0], in_use[-1]
    assert last == settled, "files or threads are left over"
    grown = (last_memory - memory) / (times - 20)
    assert grown < _KB_A_BUILD, f"memory grows by {grown:.0f} KB with each build"
    return f"{times} builds, all right; {grown:.0f} KB more memory with each"


def _in_use() -> tuple[int, int, int]:
    """Returns this process's resident memory in KB, open files and threads."""
    status = pathlib.Path("/proc/self/status").read_text().split()
    memory = int(status[status.index("VmRSS:") + 1])
    return memory, len(os.listdir("/proc/self/fd")), threading.active_count()


def together(folder: pathlib.Path, times: int) -> str:
    made = Made(folder)
    data_dir = folder / "shared" / "data"
    own = [made.config(n % _LISTS, f"own_{n}") for n in range(times)]
    for configs in (own, [made.config(0, "same")] * times):
        processes = [
            _PROCESSES.Process(target=build, args=(made.manual_dirs[0], one, data_dir))
            for one in configs
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * times
        for number, config in enumerate(configs):
            final = data_dir / "imagenet2012_subset" / config.name / "5.0.0"
            assert not _left(final)
            right = made.right(number % _LISTS if configs is own else 0, "tfrecord")
            assert shards(final) == right
    return f"{times} processes, {times} configs, then one config: all right"


def kill(folder: pathlib.Path, times: int) -> str:
    made = Made(folder)
    right = [made.right(number, "tfrecord") for number in range(2)]
    as_array_record = made.right(0, "array_record")
    dice = random.Random()
    begin = time.monotonic()
    build(made.manual_dirs[0], made.config(0), folder / "timed" / "data")
    seconds = time.monotonic() - begin
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(times):
        what = ("anew", "overwrite", "beside")[number % 3]
        manual_dir = dice.choice(made.manual_dirs)
        data_dir = folder / f"killed_{number}" / "data"
        wanted = (made.config(0, "killed"), data_dir, "tfrecord")
        if what == "overwrite":
            build(manual_dir, made.config(1, "killed"), data_dir, "tfrecord")
        elif what == "beside":
            build(manual_dir, *wanted)
            wanted = (*wanted[:2], "array_record")
        keywords = {"overwrite": what == "overwrite"}
        process = _start(manual_dir, *wanted, **keywords)
        process.join(dice.uniform(0, 1.1) * seconds)
        process.kill()
        process.join()
        final = data_dir / "imagenet2012_subset" / "killed" / "5.0.0"
        found = shards(final)
        tfrecords = {name: one for name, one in found.items() if "tfrecord" in name}
        allowed = {"anew": [{}, right[0]], "overwrite": [{}, *right]}
        assert tfrecords in allowed.get(what, [right[0]]), final
        assert final.exists() == bool(tfrecords), final
        if process.exitcode == 0:
            outcome = "had ended"
        elif [*final.parent.glob("incomplete*/**/imagenet2012_subset-*")]:
            outcome = "with staged shards"
        else:
            outcome = "with a staging directory" if _left(final) else "before or after"
        outcomes[f"{what}: {outcome}"] += 1
        build(manual_dir, *wanted, **keywords)
        expected = right[0] | (as_array_record if what == "beside" else {})
        assert shards(final) == expected, final
        assert not _left(final), final
        shutil.rmtree(data_dir.parent)
    for key, count in sorted(outcomes.items()):
        print(f"  {count} killed, {key}")
    return f"{times} kills, each next build right"


def _start(*arguments: Any, **keywords: Any) -> multiprocessing.process.BaseProcess:
    """Starts a build in a separate process; returns when it begins."""
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(
        target=_report_and_build, args=(theirs, arguments, keywords)
    )
    process.start()
    ours.recv()
    return process


def _report_and_build(
    send: Connection, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    send.send("begins")
    build(*arguments, **keywords)


def _left(final: pathlib.Path) -> list[pathlib.Path]:
    if not final.parent.exists():
        return []
    lock = final.with_name(f".{final.name}.lock")
    return sorted(set(final.parent.iterdir()) - {final, lock})


_TRIALS = {
    "repeat": (repeat, 200),
    "together": (together, 8),
    "kill": (kill, 50),
}


def main() -> None:
    """Runs one trial in a new directory, which is removed if everything is right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trial", choices=_TRIALS)
    parser.add_argument("--times", type=int)
    arguments = parser.parse_args()
    trial, times = _TRIALS[arguments.trial]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imagenet2012_subset_soak."))
    print(f"in {folder}", flush=True)
    begin = time.monotonic()
    figures = trial(folder, arguments.times or times)
    print(f"{figures} ({time.monotonic() - begin:.0f} s)")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
