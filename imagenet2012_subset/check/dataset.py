"""Checks a prepared dataset record by record, whichever builder prepared it."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from etils import epath

from imagenet2012_subset.check.images import staged_parts, strict_defects
from imagenet2012_subset.check.report import BUILD_AGAIN, Problems, Report
from imagenet2012_subset.errors import DatasetError, SubsetListError, counted, first_of
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.prepared.dataset import (
    DATASET,
    INFO_FILE,
    LABELS_FILE,
    PreparedDataset,
    open_dataset,
)
from imagenet2012_subset.prepared.provenance import Provenance
from imagenet2012_subset.prepared.records import Record, UnreadableShard, read_shard
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.subset.subset_list import (
    PUBLISHED_FINGERPRINTS,
    fingerprint,
    read_subset_list,
)
from imagenet2012_subset.tfds_internals import FileFormat, index_file_path

_ORIGINALS = {"train": TRAINING, "validation": VALIDATION}
_FEATURES = ["file_name", "image", "label"]
_CHECK_ARCHIVE = "Check the archive (check --sha256), then build the dataset again"

# The list of all training images is no larger.
_MAX_LIST_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class _Expected:
    """The images that a dataset should contain.

    Attributes:
      training: the names of the training images; None if the list is not available.
      training_sha256: their `fingerprint`; None if it is not known.
      num_validation: the validation images are numbered from 1 to this.
      is_number_known: whether that was recorded or given, not assumed to be all.
      max_examples: the limit for each split, if the dataset was cut on purpose.
    """

    training: Sequence[str] | None
    training_sha256: str | None
    num_validation: int
    is_number_known: bool
    max_examples: int | None

    @classmethod
    def of(
        cls,
        dataset: PreparedDataset,
        listed: Sequence[str] | None,
        num_validation: int | None,
        lists_in: Iterable[epath.Path],
    ) -> _Expected:
        """Determines what a dataset should contain, without downloading anything.

        What the user gives comes first, then what the dataset records. But what it
        records does not count for a published config.
        """
        recorded = Provenance.of(dataset)
        sha256 = PUBLISHED_FINGERPRINTS.get(dataset.info.config_name)
        if sha256:
            num_validation = num_validation or names.NUM_VALIDATION_IMAGES
            max_examples = _common_number(recorded.num_examples, num_validation)
        else:
            sha256 = recorded.names_sha256
            num_validation = num_validation or _valid(recorded.validation_images)
            max_examples = _valid(recorded.max_examples, most=TRAINING.num_images)
        if listed is None and sha256 is not None:
            listed = _find_list(sha256, lists_in)
        return cls(
            listed,
            sha256,
            num_validation or names.NUM_VALIDATION_IMAGES,
            is_number_known=num_validation is not None,
            max_examples=max_examples,
        )

    def names_of(self, split: str) -> Sequence[str] | None:
        """Returns the names of a split's images; None if they are not available."""
        if split == "train":
            return self.training
        return [names.validation_name(n) for n in range(1, self.num_validation + 1)]


def _valid(number: int | None, most: int = names.NUM_VALIDATION_IMAGES) -> int | None:
    return number if number is not None and 1 <= number <= most else None


def _common_number(num_examples: Mapping[str, int], most: int) -> int | None:
    """Returns the size of both splits, if they are equal and smaller than `most`.

    Published configs do not record `max_examples_per_split`, but only that makes their
    splits equally large.
    """
    training, validation = (num_examples.get(split, 0) for split in _ORIGINALS)
    return training if training == validation and 0 < training < most else None


def _find_list(sha256: str, folders: Iterable[epath.Path]) -> Sequence[str] | None:
    for folder in folders:
        for path in sorted(folder.glob("*.txt")):
            try:
                if path.stat().length > _MAX_LIST_BYTES:
                    continue
                listed = read_subset_list(path)
            except (OSError, SubsetListError):
                continue
            if fingerprint(listed) == sha256:
                return listed
    return None


def check_dataset(
    folder: epath.Path,
    listed: Sequence[str] | None = None,
    *,
    num_validation: int | None = None,
    manual_dir: epath.Path | None = None,
    index_folder: epath.Path | None = None,
    decode: bool = False,
) -> Report:
    """Checks the checksum, name, label and image of every record, and what is missing.

    Args:
      folder: the directory with `dataset_info.json`.
      listed: the names of its training images; by default those of the list that it was
        built from, if a file `*.txt` in `manual_dir` or `index_folder` contains it.
        Otherwise, the fingerprint of the names is compared, which shows whether all
        exist but not which are missing.
      num_validation: how many validation images it should contain; by default as many
        as the dataset records, or else all 50,000.
      manual_dir: the images that it was built from, to compare with; None for none.
      index_folder: where the index of an archive is saved.
      decode: whether to decode every image strictly.
    """
    report = Report(str(folder))
    dataset = _open(report, folder)
    if dataset is None:
        return report
    lists_in = [path for path in (manual_dir, index_folder) if path is not None]
    expected = _Expected.of(dataset, listed, num_validation, lists_in)
    sha256 = expected.training_sha256
    if listed is not None and sha256 not in (None, fingerprint(listed)):
        message = "is not the list that the dataset was built from"
        report.add(False, "subset_list", message)
    if expected.max_examples is not None:
        report.remarks.append(
            f"cut on purpose (max_examples_per_split={expected.max_examples})"
        )
    for split in sorted({*_ORIGINALS, *dataset.splits}):
        if split not in dataset.splits:
            report.add(False, split, f"the dataset has no such split. {BUILD_AGAIN}")
        elif split not in _ORIGINALS:
            report.add(False, split, f"is not a split of {DATASET}. {BUILD_AGAIN}")
        else:
            found = [
                _Found(dataset, split, file_format, decode)
                for file_format in dataset.formats
            ]
            right = "names and labels right"
            if decode:
                right += ", every image decodes"
            if manual_dir is not None and _compare(
                report, split, found, manual_dir, index_folder
            ):
                right += ", with the same bytes as the original images"
            for one in found:
                one.check_names(expected)
                one.report(report, expected, right)
    return report


def _open(report: Report, folder: epath.Path) -> PreparedDataset | None:
    """Opens a dataset and checks its files; returns None if it cannot be read."""
    subject = INFO_FILE
    message = None
    try:
        dataset = open_dataset(folder)
        if dataset.info.name != DATASET:
            message = f"describes the dataset {dataset.info.name}, not {DATASET}"
        else:
            subject = "features.json"
            features = sorted(dataset.builder().info.features)
            if features != _FEATURES:
                message = f"describes {', '.join(features)}. {BUILD_AGAIN}"
    except DatasetError as error:
        path = epath.Path(error.path)
        subject = subject if path == folder else path.name
        message = f"{error.problem}. {error.remedy}"
    if message:
        report.add(False, subject, message)
        return None
    if not (folder / LABELS_FILE).exists():
        report.add(False, LABELS_FILE, f"does not exist. {BUILD_AGAIN}")
    known = set()
    for file_format in dataset.formats:
        for split in dataset.splits:
            for path in dataset.shard_paths(split, file_format):
                known |= {path.name, os.path.basename(index_file_path(str(path)))}
    present = sorted(path.name for path in folder.glob(f"{DATASET}-*"))
    # TFDS ignores them.
    if others := [name for name in present if name not in known]:
        message = (
            f"{len(others):,} files that are not shards of this dataset "
            f"({first_of(others)}). Delete them, or build the dataset again"
        )
        report.add(False, "files", message, count=len(others))
    return dataset


class _Found:
    """The records of a split in one of its formats, and their problems.

    Attributes:
      counts: how many records have a name.
      digests: of the images, by name.
      problems: what is wrong with the split.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        split: str,
        file_format: FileFormat,
        decode: bool,
    ):
        """Reads and checks every record."""
        self._split = split
        self._subject = split
        if file_format is not dataset.default_format:
            self._subject += f" ({file_format.value})"
        self.counts: collections.Counter[str] = collections.Counter()
        self.digests: dict[str, bytes] = {}
        self.problems = Problems()
        images = self._read(dataset, file_format)
        if decode:
            defects = strict_defects(images, stores_converted=True)
        else:
            defects = (
                (name, problem)
                for name, image in images
                if (problem := jpeg.defect(name, image, stores_converted=True))
            )
        for name, problem in defects:
            self.problems.add("damaged images", f"{name} {problem}")

    def _read(
        self, dataset: PreparedDataset, file_format: FileFormat
    ) -> Iterator[tuple[str, bytes]]:
        """Yields the name and image of every record, and checks the labels."""
        split = self._split
        with progress_bar(
            total=dataset.splits[split].num_examples,
            desc=f"Checking {self._subject}",
            leave=False,
        ) as bar:
            for number, path in enumerate(dataset.shard_paths(split, file_format)):
                if not path.is_file():
                    self.problems.add("shards missing", path.name)
                    continue
                num_read = 0
                try:
                    for record in read_shard(dataset, split, number, file_format):
                        num_read += 1
                        self.counts[record.name] += 1
                        self.digests[record.name] = _digest(record.image)
                        self._check_label(record)
                        bar.update()
                        yield record.name, record.image
                except UnreadableShard as error:
                    where = f"{path.name} after {counted(num_read, 'record')}"
                    kind = "shards that cannot be read"
                    self.problems.add(kind, f"{where}: {error.problem}")

    def _check_label(self, record: Record) -> None:
        name, _, label = record
        wnids = names.wnids()
        labelled = wnids[label] if 0 <= label < len(wnids) else f"label {label}"
        if truth := names.mismatched_wnid(name, labelled):
            self.problems.add("wrong labels", f"{name} is {truth}, not {labelled}")

    def check_names(self, expected: _Expected) -> None:
        """Compares the names of the images with those that should exist."""
        for name, count in self.counts.items():
            if count > 1:
                self.problems.add("images more than once", name)
        wanted = expected.names_of(self._split)
        known = frozenset(wanted or filter(names.training_wnid, self.counts))
        if expected.max_examples is not None:
            self._check_number(wanted, expected.max_examples)
        elif wanted is not None:
            remedy = BUILD_AGAIN
            if self._split == "validation" and not expected.is_number_known:
                remedy += ", or give the right number as --validation_images"
            for name in wanted:
                if name not in self.counts:
                    self.problems.add("images missing", name, remedy)
        elif expected.training_sha256 is None:
            self.problems.add_message(
                "list unknown",
                "the dataset does not record which images it should contain. Give its "
                "list as --subset_list",
            )
        elif fingerprint(self.counts) != expected.training_sha256:
            self.problems.add_message(
                "other names",
                f"its {counted(len(self.counts), 'name')} are not those of the list "
                "that it was built from. Build the dataset again; its list, given as "
                "--subset_list or in --manual_dir, shows the differences",
            )
        for name in self.counts:
            if name not in known:
                self.problems.add("images that do not belong here", name)

    def _check_number(self, wanted: Sequence[str] | None, most: int) -> None:
        """Checks how many images there are: which ones depends on the archives."""
        number = most if wanted is None else min(most, len(wanted))
        found = len(self.counts)
        if found > number or (wanted is not None and found < number):
            self.problems.add_message(
                "other number",
                f"it has {counted(found, 'image')}, but was built to have {number:,} "
                f"(max_examples_per_split). {BUILD_AGAIN}",
            )

    def report(self, report: Report, expected: _Expected, right: str) -> None:
        """Adds the problems, or else how many records there are and what is right."""
        total = self.counts.total()
        cut = ""
        if expected.max_examples is not None:
            cut = f" (cut on purpose to {expected.max_examples:,})"
        message = f"{counted(total, 'record')}{cut}, {right}"
        self.problems.report(report, self._subject, message, records=total)


def _compare(
    report: Report,
    split: str,
    found: Sequence[_Found],
    manual_dir: epath.Path,
    index_folder: epath.Path | None,
) -> bool:
    """Compares the bytes of images; returns whether their source could be read.

    The source is read once, in its own order, for all formats.
    """
    original = _ORIGINALS[split]
    num_compared = 0
    try:
        source = find_source(manual_dir, original, index_folder)
        # `check_names` reports names that no image has.
        missing = {n for one in found for n in one.counts if names.find_wnid(n)}
        entries = source.look_up(sorted(missing))
        with progress_bar(
            total=len(entries), desc=f"Comparing {split}", leave=False
        ) as bar:
            for part in staged_parts(source, entries):
                for image in part:
                    missing.discard(image.name)
                    digest = _digest(image.data)
                    for one in found:
                        if one.digests.get(image.name, digest) != digest:
                            kind = f"images with other bytes than {source.path.name}"
                            one.problems.add(kind, image.name, _CHECK_ARCHIVE)
                    num_compared += 1
                    bar.update()
    except DatasetError as error:
        report.add_error(original.file_name, error, compared=num_compared)
        return False
    for one in found:
        for name in one.counts:
            if name in missing:
                kind = f"images that are not in {source.path.name}"
                one.problems.add(kind, name, _CHECK_ARCHIVE)
    return True


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest()
