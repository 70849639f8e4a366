"""Audits a prepared dataset, record by record, whoever built it."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.report import Report
from imagenet2012_subset.choose.select import select_training, select_validation
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.find.entries import decoded
from imagenet2012_subset.find.images import Images
from imagenet2012_subset.find.manual_dir import find_sources
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.tfds_internals import FileFormat, tqdm

_CHUNK = 256  # Records compared with the archive at a time; some 30 MB.
_SHOWN = 3


class _Record(NamedTuple):
    name: str
    image: bytes
    wnid: str


class _Problems:
    """Counts problems of a kind, and remembers the first few."""

    def __init__(self) -> None:
        self._counts: collections.Counter[str] = collections.Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str) -> None:
        self._counts[kind] += 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _SHOWN:
            examples.append(example)

    def report(self, report: Report, split: str, well: str, num_records: int) -> None:
        for kind, count in self._counts.items():
            more = ", ..." if count > _SHOWN else ""
            shown = ", ".join(self._examples[kind]) + more
            message = f"{count:,} {kind} ({shown}). Build the dataset again"
            report.add(False, split, message, kind=kind, count=count)
        if not self._counts:
            report.add(True, split, well, records=num_records)


def check_dataset(
    folder: epath.Path,
    listed: list[str],
    *,
    num_validation: int | None = None,
    manual_dir: epath.Path | None = None,
    index_folder: epath.Path | None = None,
) -> Report:
    """Checks every record: its checksum, name, label and image; and that none lacks.

    Args:
      folder: the prepared dataset, which has a `dataset_info.json`.
      listed: the names of its training images.
      num_validation: how many validation images it should have; None takes as many
        as its `dataset_info.json` says.
      manual_dir: the archives, to compare image bytes with; None leaves that out.
      index_folder: where what lies in the archives is kept.
    """
    report = Report(str(folder))
    builder = tfds.builder_from_directory(folder)
    if num_validation is None:
        splits = builder.info.splits
        num_validation = splits["validation"].num_examples if splits else 0
    wanted = {
        "train": listed,
        "validation": [
            names.validation_name(number) for number in range(1, num_validation + 1)
        ],
    }
    sources: dict[str, Images] = {}
    if manual_dir is not None:
        try:
            found = find_sources(manual_dir, index_folder)
            sources = {
                "train": select_training(found.training, listed),
                "validation": select_validation(found.validation, num_validation),
            }
        except DatasetError as error:
            report.add(False, "archives", str(error))
    for split, wanted_names in wanted.items():
        if split in builder.info.splits:
            _check_split(report, builder, split, wanted_names, sources.get(split))
        else:
            report.add(False, split, "the dataset has no such split. Build it again")
    return report


def _check_split(
    report: Report,
    builder: tfds.core.DatasetBuilder,
    split: str,
    wanted: list[str],
    source: Images | None,
) -> None:
    problems = _Problems()
    seen: collections.Counter[str] = collections.Counter()
    index_of = {}
    if source is not None:
        archived = decoded(source.entries.names)
        index_of = {name: i for i, name in enumerate(archived)}
    known = set(wanted)
    try:
        with tqdm(total=len(wanted), desc=f"Checking {split}", leave=False) as bar:
            records = _read(builder, split)
            while chunk := list(itertools.islice(records, _CHUNK)):
                for record in chunk:
                    seen[record.name] += 1
                    _check_record(problems, record, known)
                if source is not None:
                    _compare(problems, chunk, source, index_of)
                bar.update(len(chunk))
    except Exception as error:  # What a damaged file raises depends on its format.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        problems.add("record that cannot be read", f"after {seen.total():,}: {reason}")
    for name in wanted:
        if not seen[name]:
            problems.add("images missing", name)
        elif seen[name] > 1:
            problems.add("images more than once", name)
    compared = ", their bytes those of the archive" if source is not None else ""
    well = f"{seen.total():,} records, names and labels right{compared}"
    problems.report(report, split, well, seen.total())


def _check_record(problems: _Problems, record: _Record, known: set[str]) -> None:
    if record.name not in known:
        problems.add("images that do not belong here", record.name)
    else:
        truth = names.wnid(record.name)
        if record.wnid != truth:
            wrong = f"{record.name} is {truth}, not {record.wnid}"
            problems.add("wrong labels", wrong)
    if defect := jpeg.defect(record.name, record.image):
        problems.add("defective images", f"{record.name} {defect}")


def _compare(
    problems: _Problems,
    chunk: list[_Record],
    source: Images,
    index_of: dict[str, int],
) -> None:
    both = [record for record in chunk if record.name in index_of]
    images = source.take([index_of[record.name] for record in both])
    for record, image in zip(both, images, strict=True):
        if record.image != image.data:
            problems.add("images with other bytes than the archive", record.name)


def _read(builder: tfds.core.DatasetBuilder, split: str) -> Iterator[_Record]:
    decoders = {"image": tfds.decode.SkipDecoding()}
    examples: Iterable[dict[str, object]]
    if builder.info.file_format == FileFormat.ARRAY_RECORD:
        examples = builder.as_data_source(split=split, decoders=decoders)
    else:
        # TensorFlow verifies the checksums of TFRecords as it reads them.
        dataset = builder.as_dataset(split=split, decoders=decoders)
        examples = dataset.as_numpy_iterator()
    wnid_of = builder.info.features["label"].int2str
    for example in examples:
        name, image, label = (example[key] for key in ("file_name", "image", "label"))
        yield _Record(_text(name), bytes(image), wnid_of(int(label)))  # type: ignore


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def config_name(folder: epath.Path) -> str:
    """Returns the config of a prepared dataset, such as `1pct`."""
    info = json.loads((folder / "dataset_info.json").read_text())
    return str(info.get("configName", ""))
