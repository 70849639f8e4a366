"""Checks a prepared dataset record by record, whichever builder prepared it."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence

from etils import epath

from imagenet2012_subset.check.images import BATCH, StrictDecoder, staged_parts
from imagenet2012_subset.check.report import BUILD_AGAIN, Problems, Report
from imagenet2012_subset.errors import (
    DatasetError,
    SubsetListError,
    counted,
    first_of,
)
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
class Expected:
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
    max_examples: int | None = None

    def names_of(self, split: str) -> Sequence[str] | None:
        """Returns the names of a split's images; None if they are not available."""
        if split == "train":
            return self.training
        return [names.validation_name(n) for n in range(1, self.num_validation + 1)]


def expected_of(
    dataset: PreparedDataset,
    listed: Sequence[str] | None = None,
    num_validation: int | None = None,
    lists_in: Iterable[epath.Path] = (),
) -> Expected:
    """Determines what a dataset should contain, without downloading anything.

    Args:
      dataset: the dataset. What it records does not count for a published config.
      listed: the names of its training images, if the user gives them.
      num_validation: how many validation images it should contain, if the user gives
        this; otherwise as many as the dataset records, or else all 50,000.
      lists_in: directories that may contain its list in a file named `*.txt`.
    """
    recorded = Provenance.of(dataset)
    published = PUBLISHED_FINGERPRINTS.get(dataset.info.config_name)
    if published:
        num_validation = num_validation or names.NUM_VALIDATION_IMAGES
        max_examples = _common_number(recorded.num_examples, num_validation)
    else:
        num_validation = num_validation or _valid(recorded.validation_images)
        max_examples = _valid(recorded.max_examples, most=TRAINING.num_images)
    sha256 = published or recorded.names_sha256
    if listed is None and sha256 is not None:
        listed = _find_list(sha256, lists_in)
    return Expected(
        listed,
        sha256,
        num_validation or names.NUM_VALIDATION_IMAGES,
        is_number_known=num_validation is not None,
        max_examples=max_examples,
    )


def _valid(number: int | None, most: int = names.NUM_VALIDATION_IMAGES) -> int | None:
    return number if number is not None and 1 <= number <= most else None


def _common_number(num_examples: Mapping[str, int], most: int) -> int | None:
    """Returns how many images both splits have, if as many and fewer than `most`.

    Published configs do not record `max_examples_per_split`, but only that makes their
    splits equally large.
    """
    numbers = {num_examples.get(split, 0) for split in _ORIGINALS}
    number = numbers.pop()
    return number if not numbers and 0 < number < most else None


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
    lists_in: Iterable[epath.Path] = (),
    decode: bool = False,
) -> Report:
    """Checks the checksum, name, label and image of every record, and what is missing.

    Args:
      folder: the directory with `dataset_info.json`.
      listed: the names of its training images. Without them, the fingerprint of the
        names is compared, which shows whether all exist but not which are missing.
      num_validation: see `expected_of`.
      manual_dir: the images that it was built from, to compare with; None for none.
      index_folder: where the index of an archive is saved.
      lists_in: directories besides `manual_dir` that may contain its list.
      decode: whether to decode every image strictly.
    """
    report = Report(str(folder))
    dataset = _open(report, folder)
    if dataset is None:
        return report
    folders = [*lists_in] if manual_dir is None else [manual_dir, *lists_in]
    expected = expected_of(dataset, listed, num_validation, folders)
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
                _Found.read(dataset, split, file_format, decode)
                for file_format in dataset.formats
            ]
            compared = ""
            if manual_dir is not None and _compare(
                report, split, found, manual_dir, index_folder
            ):
                compared = ", with the same bytes as the original images"
            decoded = ", every image decodes" if decode else ""
            for one in found:
                one.check_names(expected)
                one.report(report, expected, decoded + compared)
    return report


def _open(report: Report, folder: epath.Path) -> PreparedDataset | None:
    """Opens a dataset and checks its files; returns None if it cannot be read."""
    subject = INFO_FILE
    try:
        dataset = open_dataset(folder)
        if dataset.info.name != DATASET:
            message = f"describes the dataset {dataset.info.name}, not {DATASET}"
            report.add(False, subject, message)
            return None
        subject = "features.json"
        features = sorted(dataset.builder().info.features)
        if features != _FEATURES:
            message = f"describes {', '.join(features)}. {BUILD_AGAIN}"
            report.add(False, subject, message)
            return None
    except DatasetError as error:
        path = epath.Path(error.path)
        subject = subject if path == folder else path.name
        report.add(False, subject, f"{error.problem}. {error.remedy}")
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


@dataclasses.dataclass
class _Found:
    """The records of a split in one of its formats, and their problems."""

    split: str
    subject: str
    problems: Problems = dataclasses.field(default_factory=Problems)
    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    digests: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(
        cls, dataset: PreparedDataset, split: str, file_format: FileFormat, decode: bool
    ) -> _Found:
        """Reads and checks every record."""
        is_default = file_format is dataset.default_format
        subject = split if is_default else f"{split} ({file_format.value})"
        found = cls(split, subject)
        total = dataset.splits[split].num_examples
        with contextlib.ExitStack() as stack:
            decoder = None
            if decode:
                decoder = stack.enter_context(StrictDecoder(stores_converted=True))
            bar = stack.enter_context(
                progress_bar(total=total, desc=f"Checking {subject}", leave=False)
            )
            for number, path in enumerate(dataset.shard_paths(split, file_format)):
                if not path.is_file():
                    found.problems.add("shards missing", path.name)
                    continue
                before = found.counts.total()
                records: list[Record] = []
                try:
                    for record in read_shard(dataset, split, number, file_format):
                        records.append(record)
                        bar.update()
                        if len(records) == BATCH:
                            found._check(records, decoder)
                            records = []
                except UnreadableShard as error:
                    whole = found.counts.total() - before + len(records)
                    where = f"{path.name} after {counted(whole, 'record')}"
                    kind = "shards that cannot be read"
                    found.problems.add(kind, f"{where}: {error.problem}")
                found._check(records, decoder)
        return found

    def _check(self, records: Sequence[Record], decoder: StrictDecoder | None) -> None:
        wnids = names.wnids()
        for name, image, label in records:
            self.counts[name] += 1
            self.digests[name] = _digest(image)
            if not decoder and (
                problem := jpeg.defect(name, image, stores_converted=True)
            ):
                self.problems.add("damaged images", f"{name} {problem}")
            try:
                truth = names.wnid(name)
            except ValueError:
                continue  # `check_names` reports names that do not belong here.
            is_class = 0 <= label < len(wnids)
            labelled = wnids[label] if is_class else f"label {label}"
            if labelled != truth:
                wrong = f"{name} is {truth}, not {labelled}"
                self.problems.add("wrong labels", wrong)
        if decoder:
            images = [(record.name, record.image) for record in records]
            for name, problem in decoder.defects(images):
                self.problems.add("damaged images", f"{name} {problem}")

    def check_names(self, expected: Expected) -> None:
        """Compares the names of the images with those that should exist."""
        for name, count in self.counts.items():
            if count > 1:
                self.problems.add("images more than once", name)
        wanted = expected.names_of(self.split)
        known = frozenset(wanted or filter(names.training_wnid, self.counts))
        if expected.max_examples is not None:
            self._check_number(wanted, expected.max_examples)
        elif wanted is not None:
            remedy = BUILD_AGAIN
            if self.split == "validation" and not expected.is_number_known:
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

    def report(self, report: Report, expected: Expected, more: str) -> None:
        """Adds the problems, or else how many records there are and what is right."""
        total = self.counts.total()
        cut = ""
        if expected.max_examples is not None:
            cut = f" (cut on purpose to {expected.max_examples:,})"
        message = f"{counted(total, 'record')}{cut}, names and labels right{more}"
        self.problems.report(report, self.subject, message, records=total)


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
        missing = {n for one in found for n in one.counts if _is_image_name(n)}
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
        message = f"{error.problem}. {error.remedy}"
        report.add(False, original.file_name, message, compared=num_compared)
        return False
    for one in found:
        for name in one.counts:
            if name in missing:
                kind = f"images that are not in {source.path.name}"
                one.problems.add(kind, name, _CHECK_ARCHIVE)
    return True


def _is_image_name(name: str) -> bool:
    try:
        return bool(names.wnid(name))
    except ValueError:
        return False


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest()
