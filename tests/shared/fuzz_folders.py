"""Targets of `tests/fuzz.py` that write directories: trees and prepared datasets."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pathlib
import re
import shutil
import tempfile
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import Builder, DatasetError, SubsetConfig
from imagenet2012_subset.check.folder import check_folder
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from tests.shared import archives

_FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="imagenet2012_subset_fuzz."))
_MANUAL_DIR = _FOLDER / "manual"
_DATA_DIR = _FOLDER / "data"
_TRAINING = [f"{wnid}_{n}.JPEG" for wnid in names.wnids()[:2] for n in (1, 20)]
_VALIDATION = [archives.validation_name(n) for n in (1, 2)]
_WNID = re.compile(rb"n[0-9]{8}")

# The first byte of an entry says what it is; the others are its path in the tree.
_FILE, _LINK, _EMPTY, _FOLDER_OF_NOTHING = range(4)


def fuzz_tree(data: bytes) -> None:
    """Writes a directory with the names in `data`, and reads the images in it.

    Every file contains its own path, so that what is read shows where it was.
    """
    shutil.rmtree(_MANUAL_DIR, ignore_errors=True)
    _MANUAL_DIR.mkdir()
    for entry in data.split(b"\n")[:24]:
        # Skips what cannot be a path.
        with contextlib.suppress(OSError, ValueError):
            _lay_out(entry)
    for original, wanted in (TRAINING, _TRAINING), (VALIDATION, _VALIDATION):
        with contextlib.suppress(DatasetError):
            source = find_source(epath.Path(_MANUAL_DIR), original)
            assert source.describe()
            listed = source.listing().names.tolist()
            entries = source.look_up(wanted)
            found = [name.decode() for name in entries.names.tolist()]
            assert set(found) <= set(wanted)
            assert {name.encode() for name in found} <= set(listed)
            images = source.read_images(entries)
            for name, content in zip(found, images, strict=True):
                _check_path(name, content)


def _lay_out(entry: bytes) -> None:
    kind, relative = entry[:1], entry[1:].lstrip(b"/")
    if not kind or not relative or b".." in relative.split(b"/"):
        return
    path = os.path.join(os.fsencode(_MANUAL_DIR), relative)
    what = kind[0] % 4
    os.makedirs(
        path if what == _FOLDER_OF_NOTHING else os.path.dirname(path), 0o755, True
    )
    if what == _LINK:
        os.symlink(relative.rpartition(b"/")[2][::-1] or b".", path)
    elif what != _FOLDER_OF_NOTHING:
        with open(path, "xb") as file:
            file.write(b"" if what == _EMPTY else relative)


def _check_path(name: str, path: bytes) -> None:
    """Checks by a file's path that it is the image that was found."""
    *folders, last = path.split(b"/")
    stem, _, suffix = last.rpartition(b".")
    number, wnid = name.removesuffix(".JPEG").encode(), names.wnid(name).encode()
    assert suffix == b"JPEG"
    assert stem in (number, number + b"_" + wnid)
    if folders and _WNID.fullmatch(folders[-1]):
        assert folders[-1] == wnid


def tree_seeds() -> list[bytes]:
    training, validation = _TRAINING[0], _VALIDATION[0]
    wnid, stem = names.wnids()[0], training.removesuffix(".JPEG")
    of_validation = names.wnid(validation)
    flat = [f"\0train/{name}" for name in _TRAINING]
    flat += [f"\0val/{name}" for name in _VALIDATION]
    kaggle = [f"\0ILSVRC/Data/CLS-LOC/train/{wnid}/{training}"]
    kaggle += [f"\0ILSVRC/Data/CLS-LOC/val/{validation}", "\2README"]
    sorted_ = [f"\0train/{wnid}/{training}", f"\0val/{of_validation}/{validation}"]
    wrong = [f"\0train/{names.wnids()[5]}/{training}", f"\0val/{wnid}/{validation}"]
    hub = [f"\0train_images_0/{stem}_{wnid}.JPEG", f"\0{stem}_{wnid}.JPEG"]
    hub += [f"\0val_images/{validation[:-5]}_{of_validation}.JPEG"]
    odd = [f"\1train/{wnid}", f"\3train/{training}", f"\2val/{validation}", "\3val/x"]
    seeds = [flat, kaggle, sorted_, wrong, hub, odd, [f"\0train/{wnid}.tar"]]
    return ["\n".join(seed).encode() for seed in seeds] + [
        b"\3train/\xff\n\0train/" + training.encode() + b"\n\0val/\xfe.JPEG"
    ]


class _Dataset:
    """A small dataset whose files are damaged and repaired."""

    def __init__(self) -> None:
        images = [(name, archives.jpeg(n)) for n, name in enumerate(_TRAINING)]
        of_synset = {
            wnid: [one for one in images if names.wnid(one[0]) == wnid]
            for wnid in names.wnids()[:2]
        }
        validation = [(name, archives.jpeg(99)) for name in _VALIDATION]
        self._manual_dir = archives.write_manual_dir(
            _FOLDER / "archives",
            archives.training_tar(of_synset),
            archives.tar_bytes(validation),
        )
        self._list = _FOLDER / "list.txt"
        self._list.write_text("\n".join(_TRAINING))
        tfds.disable_progress_bar()
        self.path = pathlib.Path(self.prepare(self._manual_dir).data_path)
        found = (*self.path.glob("*.json"), *self.path.glob("*.txt"))
        self.files = {path: path.read_bytes() for path in sorted(found)}

    def prepare(self, manual_dir: pathlib.Path = _FOLDER / "none") -> Builder:
        """Builds the dataset; later calls find it, and no other can be built."""
        builder = Builder(
            config=SubsetConfig(
                name="small", subset_list=str(self._list), validation_images=2
            ),
            data_dir=_DATA_DIR,
            file_format="array_record",
        )
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
            )
        return builder


@functools.cache
def _get_dataset() -> _Dataset:
    return _Dataset()


def fuzz_dataset(data: bytes) -> None:
    """Damages a file of a dataset, checks the dataset, and requests it.

    The first byte says which file. The second says whether the rest is that file's
    content, or a JSON value to put into the file, in the place with this number.
    """
    dataset = _get_dataset()
    if len(data) < 2:
        return
    path = [*dataset.files][data[0] % len(dataset.files)]
    right = dataset.files[path]
    content = data[2:]
    if data[1] and path.suffix == ".json":
        try:
            content = _with_value(right, data[1] - 1, json.loads(data[2:]))
        except (ValueError, RecursionError):
            return
    path.write_bytes(content)
    try:
        with contextlib.suppress(DatasetError):
            report = check_folder(epath.Path(dataset.path))
            assert report.to_text()
            assert report.to_json()
        with contextlib.suppress(DatasetError):
            splits = dataset.prepare().info.splits
            assert splits["train"].num_examples == len(_TRAINING)
            assert splits["validation"].num_examples == len(_VALIDATION)
    finally:
        path.write_bytes(right)


def _with_value(content: bytes, place: int, value: Any) -> bytes:
    """Returns JSON with another value in one place, counted from the whole inwards."""
    whole = [json.loads(content)]
    places: list[tuple[Any, Any]] = [(whole, 0)]
    for holder, key in places:
        inner = holder[key]
        if isinstance(inner, dict):
            places += [(inner, key) for key in inner]
        elif isinstance(inner, list):
            places += [(inner, number) for number in range(len(inner))]
    holder, key = places[place % len(places)]
    holder[key] = value
    return json.dumps(whole[0]).encode()


def dataset_seeds() -> list[bytes]:
    files = [*_get_dataset().files.values()]
    whole = [bytes([number, 0]) + content for number, content in enumerate(files)]
    values = ["null", "-1", '"x"', "[]", "{}", "1e999", "true", '"tfrecord"', '["a"]']
    within = [
        bytes([number, place]) + value.encode()
        for number in range(len(files))
        for place in range(1, 60)
        for value in values
    ]
    deep = [bytes([number, 0]) + b"[" * 20_000 for number in range(len(files))]
    return whole + within + deep
