"""Builds that differ in one thing, in turns, so that a busy machine is busy for all.

Each runs in a fork of this process, which has imported what takes longer to import than
some builds take.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import random
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds

from benchmarks.make.archives import TRAINING_NAME, VALIDATION_NAME, read_facts
from benchmarks.measure.build_once import Built, build, parse
from benchmarks.measure.caches import forget
from benchmarks.measure.runs import cut_options

COLUMNS = "seconds (range) | times | CPU seconds (range) | times"
"""The heading of what `Figures.row` returns."""


class Way(NamedTuple):
    """One way to build.

    Attributes:
      options: Of `build_once`.
      with_index: Whether to build once more with the index of headers kept.
    """

    options: Sequence[str] = ()
    with_index: bool = True


class Figures(NamedTuple):
    """What builds took.

    Attributes:
      builds: Those of each way, one a round.
    """

    builds: Mapping[str, Sequence[Built]]

    def row(self, way: str, than: str) -> list[str]:
        """Returns medians and ranges, and medians of the ratios in each round.

        Args:
          way: The way to tell of.
          than: The way to compare it with.
        """
        texts = []
        for figure in ("seconds", "cpu_seconds"):
            taken, others = (
                [getattr(built, figure) for built in self.builds[name]]
                for name in (way, than)
            )
            ratio = statistics.median(
                one / other for one, other in zip(taken, others, strict=True)
            )
            median, least, most = statistics.median(taken), min(taken), max(taken)
            texts += [f"{median:.1f} ({least:.1f} to {most:.1f})", f"{ratio:.2f}"]
        return texts


def take_turns(
    archives: pathlib.Path,
    scratch: pathlib.Path,
    config: str,
    ways: Mapping[str, Way],
    rounds: int,
    note: Callable[[str], None],
) -> tuple[Figures, Figures]:
    """Builds in every way once a round, in an order that changes.

    Args:
      archives: Folder of what `make_archives` made.
      scratch: Folder for the datasets, which is removed.
      config: What to build.
      ways: How.
      rounds: How many.
      note: Told of each build as soon as it is done.

    Returns:
      The builds from nothing, and those with the index kept.
    """
    importlib.import_module("tensorflow")
    # Otherwise a fork's first collection copies the pages of all that was imported.
    gc.freeze()
    arguments = ["ours", config, f"--archives={archives}", f"--data_dir={scratch}"]
    arguments += cut_options(archives, read_facts(archives), config)
    files = [archives / TRAINING_NAME, archives / VALIDATION_NAME]
    from_nothing: dict[str, list[Built]] = {name: [] for name in ways}
    with_index: dict[str, list[Built]] = {
        name: [] for name, way in ways.items() if way.with_index
    }
    shuffle = random.Random(0).shuffle
    for number in range(1, rounds + 1):
        names = list(ways)
        shuffle(names)
        for name in names:
            args = parse([*arguments, *ways[name].options])
            forget(files)
            built = _in_a_fork(args)
            from_nothing[name].append(built)
            note(f"{number}, {config}, {name}: {built}")
            shutil.rmtree(built.data_path)
            if name in with_index:
                forget(files)
                built = _in_a_fork(args)
                with_index[name].append(built)
                note(f"{number}, {config}, {name}, index kept: {built}")
            shutil.rmtree(scratch)
    return Figures(from_nothing), Figures(with_index)


def _in_a_fork(args: argparse.Namespace) -> Built:
    """Builds in a process that has what this one has imported.

    Raises:
      RuntimeError: If it fails; it has printed why.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_build_and_send, args=(args, sender))
    process.start()
    sender.close()
    try:
        built: Built = receiver.recv()
    except EOFError as error:
        raise RuntimeError(f"a build failed: {args}") from error
    finally:
        process.join()
    return built


def _build_and_send(
    args: argparse.Namespace, sender: multiprocessing.connection.Connection
) -> None:
    tfds.disable_progress_bar()
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        sender.send(build(args))
