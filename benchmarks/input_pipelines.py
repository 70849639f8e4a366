"""Compares how fast each example's input is with bare JPEG decoding on the same CPUs.

    python -m benchmarks.input_pipelines --photos FOLDER

Images a second, from records on the disk to batches in memory, with nothing behind
them that takes time. Each figure comes from a fresh process, and the pipelines take
turns, so that other load on the machine affects all of them. Allow ten minutes.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import io
import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds

from benchmarks.make import sparse_tar
from benchmarks.make.archives import TRAINING_NAME, VALIDATION_NAME
from benchmarks.make.photos import make_photos
from benchmarks.measure.runs import machine_line, print_table
from imagenet2012_subset import SubsetConfig

if TYPE_CHECKING:  # PyTorch crashes in a process that has imported TensorFlow.
    import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "examples"))

_WARM_UP = 5  # Batches.
_MEASURED = 3.0  # Seconds.

# Batches, and how many images are in each.
Batches = tuple[Iterator[Any], int]


def builder_of(folder: pathlib.Path, file_format: str) -> tfds.core.DatasetBuilder:
    """Returns the builder of the dataset that is made of the archives in `folder`."""
    subset_list = folder / "subset.txt"
    return tfds.builder(
        "imagenet2012_subset",
        config=SubsetConfig(
            name="photos",
            subset_list=str(subset_list),
            validation_images=len(subset_list.read_text().split()),
        ),
        data_dir=folder / file_format,
        file_format=file_format,
    )


def prepare(folder: pathlib.Path, photos: Sequence[bytes], images: int) -> None:
    """Makes archives of `images` photos a split, and the dataset in both formats."""
    wnids = tfds.builder("imagenet2012_subset").info.features["label"].names
    synsets: dict[str, list[tuple[str, bytes]]] = {}
    for number, photo in zip(range(images), itertools.cycle(photos), strict=False):
        wnid = wnids[number % len(wnids)]
        synsets.setdefault(wnid, []).append((f"{wnid}_{number}.JPEG", photo))
    inner = [(f"{wnid}.tar", _tar(members)) for wnid, members in synsets.items()]
    validation = [
        (f"ILSVRC2012_val_{number:08d}.JPEG", photo)
        for number, photo in zip(
            range(1, images + 1), itertools.cycle(photos), strict=False
        )
    ]
    names = [name for members in synsets.values() for name, _ in members]
    (folder / "subset.txt").write_text("\n".join(names))
    (folder / TRAINING_NAME).write_bytes(_tar(inner))
    (folder / VALIDATION_NAME).write_bytes(_tar(validation))
    for file_format in ("tfrecord", "array_record"):
        builder_of(folder, file_format).download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder)
        )


def _tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    writer = sparse_tar.Writer(buffer)
    for name, data in members:
        writer.member(name, data)
    return buffer.getvalue().ljust(writer.close(), b"\0")


def _bare_decoding(args: argparse.Namespace) -> Batches:
    """Decodes whole JPEGs in memory, in one thread for each CPU, and does no more."""
    import simplejpeg

    builder = builder_of(args.folder, "array_record")
    source = builder.as_data_source(
        "train", decoders={"image": tfds.decode.SkipDecoding()}
    )
    jpegs = [example["image"] for example in source.__getitems__(range(500))]
    pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    batches = (
        collections.deque(pool.map(simplejpeg.decode_jpeg, jpegs), maxlen=0)
        for _ in itertools.repeat(None)
    )
    return batches, len(jpegs)


def _plain(args: argparse.Namespace) -> Batches:
    return iter(_resized(args).batch(args.batch_size)), args.batch_size


def _plain_in_parallel(args: argparse.Namespace) -> Batches:
    import tensorflow as tf

    batches = _resized(args, tf.data.AUTOTUNE).batch(args.batch_size)
    return iter(batches.prefetch(tf.data.AUTOTUNE)), args.batch_size


def _resized(args: argparse.Namespace, calls: int | None = None) -> tf.data.Dataset:
    import tensorflow as tf

    size = (args.size, args.size)
    examples = tfds.load(
        "imagenet2012_subset/photos",
        split="train",
        as_supervised=True,
        shuffle_files=True,
        data_dir=args.folder / "tfrecord",
    )
    return examples.map(
        lambda image, label: (tf.image.resize(image, size), label), calls
    ).repeat()


def _keras_training(args: argparse.Namespace) -> Batches:
    from keras_finetune import training_batches

    builder = builder_of(args.folder, "tfrecord")
    batches = training_batches(builder, args.size, args.batch_size)
    return iter(batches.repeat()), args.batch_size


def _keras_training_in_memory(args: argparse.Namespace) -> Batches:
    from keras_finetune import training_batches

    builder = builder_of(args.folder, "tfrecord")
    epoch = training_batches(builder, args.size, args.batch_size, in_memory=True)
    for _ in epoch:  # Decodes all images.
        pass
    return iter(epoch.repeat()), args.batch_size


def _keras_evaluation(args: argparse.Namespace) -> Batches:
    from keras_finetune import evaluation_batches

    builder = builder_of(args.folder, "tfrecord")
    batches = evaluation_batches(builder, "validation", args.size, args.batch_size)
    return iter(batches.repeat()), args.batch_size


def _semi_supervised(args: argparse.Namespace) -> Batches:
    from semi_supervised import training_batches

    builder = builder_of(args.folder, "tfrecord")
    # Of 8 crops, 2 have labels, and 3 times as many have two views.
    labelled, ratio = args.batch_size // 8, 3
    batches = training_batches(builder, builder, args.size, labelled, ratio)
    return iter(batches), labelled * (1 + 2 * ratio)


def _torch_training(args: argparse.Namespace) -> Batches:
    from torch_train import training_batches

    builder = builder_of(args.folder, "array_record")
    batches = training_batches(builder, args.size, args.batch_size, args.workers)
    epochs = itertools.repeat(batches)
    return itertools.chain.from_iterable(epochs), args.batch_size


def _grain_training(args: argparse.Namespace) -> Batches:
    from absl import flags
    from jax_grain import training_batches

    flags.FLAGS.mark_as_parsed()
    builder = builder_of(args.folder, "array_record")
    batches = training_batches(
        builder, args.size, args.batch_size, args.workers, epochs=1000
    )
    return iter(batches), args.batch_size


_PIPELINES: dict[str, Callable[[argparse.Namespace], Batches]] = {
    "bare JPEG decoding": _bare_decoding,
    "`tfds.load(...).map(resize)`, as written first": _plain,
    "the same, parallel and prefetched": _plain_in_parallel,
    "`keras_finetune.py`, training": _keras_training,
    "`keras_finetune.py --in_memory`, after an epoch": _keras_training_in_memory,
    "`keras_finetune.py` and `few_shot.py`, evaluation": _keras_evaluation,
    "`semi_supervised.py`, training": _semi_supervised,
    "`torch_train.py`, training": _torch_training,
    "`jax_grain.py`, training": _grain_training,
}


def images_a_second(name: str, args: argparse.Namespace) -> float:
    """Measures a pipeline in this process."""
    batches, images = _PIPELINES[name](args)
    for _ in range(_WARM_UP):
        next(batches)
    count, begin = 0, time.perf_counter()
    while (seconds := time.perf_counter() - begin) < _MEASURED:
        next(batches)
        count += images
    return count / seconds


def main() -> int:
    """Measures all pipelines one after another, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path, cpus = pathlib.Path, len(os.sched_getaffinity(0))
    parser.add_argument("--photos", type=path, help="JPEGs; default: synthetic ones")
    parser.add_argument("--images", type=int, default=3000, help="of each split")
    parser.add_argument("--size", type=int, default=224, help="of a crop, in pixels")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=cpus, help="of PyTorch, Grain")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=path, help="of a dataset made before")
    parser.add_argument("--only", choices=_PIPELINES, help="in this process")
    args = parser.parse_args()

    if args.only:
        print(images_a_second(args.only, args))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if args.folder is None:
            args.folder = pathlib.Path(folder)
            files = sorted(args.photos.glob("*")) if args.photos else []
            photos = [file.read_bytes() for file in files] or make_photos(seed=0).rgb
            prepare(args.folder, photos, args.images)
        print(f"{machine_line()}\n")
        figures: dict[str, list[float]] = {name: [] for name in _PIPELINES}
        for _, name in itertools.product(range(args.repetitions), _PIPELINES):
            figures[name].append(_in_a_fresh_process(name, args))
            print(f"{name}: {figures[name][-1]:.0f}", file=sys.stderr)
    _print_figures(figures)
    return 0


def _in_a_fresh_process(name: str, args: argparse.Namespace) -> float:
    options = ("folder", "size", "batch_size", "workers")
    command = [sys.executable, "-m", "benchmarks.input_pipelines", "--only", name]
    command += [f"--{option}={getattr(args, option)}" for option in options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def _print_figures(figures: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(taken) for name, taken in figures.items()}
    bare = medians["bare JPEG decoding"]
    print_table(
        "input | images a second | lowest, highest | share of bare decoding",
        [
            [
                name,
                f"{medians[name]:.0f}",
                f"{min(taken):.0f}, {max(taken):.0f}",
                f"{medians[name] / bare:.2f}",
            ]
            for name, taken in figures.items()
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
