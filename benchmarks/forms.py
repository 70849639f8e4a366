"""Compares building from extracted images with building from the tars.

    python benchmarks/forms.py TARS --scratch FOLDER [--rounds 3]

TARS is a folder that benchmarks/archives.py made. It is extracted once, into an
extracted tree and into synset tars; images that are holes in the tars stay holes. Then
each form is built in turn, every time in a fresh process on a cold page cache, the tars
with their index kept from a build before.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

LISTS = {"1pct": "1percent.txt", "10pct": "10percent.txt"}
_DROP_CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
_TRAINING, _VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
_CHUNK = 1 << 20


def extract(tars: pathlib.Path, scratch: pathlib.Path) -> dict[str, pathlib.Path]:
    """Extracts the tars in each way, unless that is done; returns the folders by form.

    The tree has validation images in a folder for each synset, as torchvision's
    `ImageNet` sorts them; with the synset tars they lie flat.
    """
    from imagenet2012_subset.imagenet import names

    forms = {"tree": scratch / "tree", "synset tars": scratch / "synset_tars"}
    if not (done := scratch / "extracted").exists():
        for form, folder in forms.items():
            shutil.rmtree(folder, ignore_errors=True)
            in_synsets = form == "tree"
            for part, path, offset, size in _members(tars / _TRAINING):
                if (part == "tar") == in_synsets:
                    continue
                wnid = path.partition("_")[0]
                below = folder / "train" / wnid if in_synsets else folder / "train"
                _copy(tars / _TRAINING, offset, size, below / path)
            for _, path, offset, size in _members(tars / _VALIDATION):
                wnid = names.wnid(path) if in_synsets else ""
                _copy(tars / _VALIDATION, offset, size, folder / "val" / wnid / path)
        os.sync()
        done.touch()
    return {"tars": tars, **forms}


def _members(tar: pathlib.Path) -> Iterator[tuple[str, str, int, int]]:
    """Yields kind, name, offset and size in bytes of members at any depth."""
    from etils import epath

    from imagenet2012_subset.storage.open import open_file
    from imagenet2012_subset.tar.members import Tar
    from imagenet2012_subset.tar.piece import Piece
    from imagenet2012_subset.tar.walk import walk

    file = open_file(epath.Path(tar))
    waiting = [Tar("the archive", 0, file.size)]
    while waiting:
        pieces = [Piece(file, one, one.start, one.end) for one in waiting]
        waiting = []
        for piece in walk(file, pieces):
            assert not piece.error
            for name, offset, size, _ in zip(*piece.members, strict=True):
                kind = "tar" if name.endswith(b".tar") else "image"
                if kind == "tar":
                    waiting.append(Tar(name.decode(), offset, offset + size))
                yield kind, name.decode(), offset, size


def _copy(tar: pathlib.Path, offset: int, size: int, path: pathlib.Path) -> None:
    """Copies a stretch of a file to a file of its own, but for its holes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tar.open("rb") as source, path.open("wb") as target:
        position, end = offset, offset + size
        while position < end:
            try:
                data = os.lseek(source.fileno(), position, os.SEEK_DATA)
            except OSError:  # Nothing but a hole up to the end.
                break
            hole = os.lseek(source.fileno(), data, os.SEEK_HOLE)
            position, stop = min(data, end), min(hole, end)
            while position < stop:
                source.seek(position)
                stretch = source.read(min(_CHUNK, stop - position))
                target.seek(position - offset)
                target.write(stretch)
                position += len(stretch)
        target.truncate(size)


def build_once(args: argparse.Namespace) -> None:
    """Builds, or only looks images up, and prints the seconds as JSON."""
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from etils import epath

    import imagenet2012_subset
    from imagenet2012_subset.choose.select import select_training, select_validation
    from imagenet2012_subset.choose.subset_list import read_subset_list
    from imagenet2012_subset.find.manual_dir import find_sources

    del tf  # Imported late otherwise, in the time that is measured.
    tfds.disable_progress_bar()
    if args.delay_ms:
        _delay_look_ups(args.delay_ms / 1000)
    listed = args.tars / LISTS[args.config]
    start = time.perf_counter()
    if args.only_look_up:
        found = find_sources(epath.Path(args.manual_dir))
        select_training(found.training, read_subset_list(listed))
        select_validation(found.validation, args.validation_images)
    else:
        builder = imagenet2012_subset.Builder(
            config=imagenet2012_subset.SubsetConfig(
                name=f"{args.config}_cut",
                subset_list=str(listed),
                validation_images=args.validation_images,
            ),
            data_dir=args.data_dir,
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=args.manual_dir)
        )
    print(json.dumps({"seconds": time.perf_counter() - start}))


def _delay_look_ups(seconds: float) -> None:
    """Lets every call that takes a path take longer, as over a network."""

    def delayed(call: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_call(*args: Any, **kwargs: Any) -> Any:
            time.sleep(seconds)
            return call(*args, **kwargs)

        return wait_and_call

    for name in ("stat", "lstat", "scandir", "open"):
        setattr(os, name, delayed(getattr(os, name)))


def _run(
    args: argparse.Namespace, manual_dir: pathlib.Path, **options: object
) -> float:
    """Builds in a fresh process on a cold page cache; returns the seconds."""
    os.sync()
    _DROP_CACHES.write_text("3")
    command = [sys.executable, __file__, str(args.tars), f"--manual_dir={manual_dir}"]
    command += [f"--{name}={value}" for name, value in options.items()]
    facts = json.loads((args.tars / "facts.json").read_text())
    command.append(f"--validation_images={facts['validation_images']}")
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr[-4000:])
    return float(json.loads(result.stdout.splitlines()[-1])["seconds"])


def compare(args: argparse.Namespace) -> None:
    """Prints a table of medians."""
    forms = extract(args.tars, args.scratch)
    data_dir = args.scratch / "data"
    built = data_dir / "imagenet2012_subset"
    print("| form | config | seconds | of that, looking up | times the tars' |")
    print("| --- | --- | ---: | ---: | ---: |")
    for config in args.configs:
        shutil.rmtree(data_dir, ignore_errors=True)
        for folder in forms.values():  # Once, to keep what lies in the archives.
            _run(args, folder, config=config, data_dir=data_dir)
            shutil.rmtree(built)
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        looking_up: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(args.rounds):
            for form, folder in forms.items():
                seconds[form].append(
                    _run(args, folder, config=config, data_dir=data_dir)
                )
                shutil.rmtree(built)
            options = {"config": config, "only_look_up": 1}
            looking_up["tree"].append(_run(args, forms["tree"], **options))
        base = statistics.median(seconds["tars"])
        for form, figures in seconds.items():
            median = statistics.median(figures)
            spent = looking_up[form]
            looked = f"{statistics.median(spent):.1f}" if spent else ""
            ratio = median / base
            print(f"| {form} | {config} | {median:.1f} | {looked} | {ratio:.2f} |")
        slow = _run(args, forms["tree"], **options, delay_ms=1)
        print(f"| tree, 1 ms more a look-up | {config} | | {slow:.1f} | |", flush=True)
    shutil.rmtree(data_dir)


def main() -> None:
    """Compares, or builds once where a manual directory is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tars", type=pathlib.Path)
    parser.add_argument("--scratch", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--configs", nargs="+", choices=[*LISTS], default=[*LISTS])
    once = parser.add_argument_group("for one build, which prints its seconds")
    once.add_argument("--manual_dir", type=pathlib.Path)
    once.add_argument("--config", choices=[*LISTS])
    once.add_argument("--data_dir", type=pathlib.Path)
    once.add_argument("--validation_images", type=int)
    once.add_argument("--only_look_up", type=int, default=0)
    once.add_argument("--delay_ms", type=float, default=0)
    args = parser.parse_args()
    if args.manual_dir:
        build_once(args)
    elif args.scratch:
        compare(args)
    else:
        parser.error("--scratch is needed: a folder to extract into")


if __name__ == "__main__":
    main()
