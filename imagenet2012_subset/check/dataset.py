"""Checks a prepared dataset record by record, whichever builder prepared it."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from etils import epath

from imagenet2012_subset.check.images import staged_parts, strict_defects
from imagenet2012_subset.check.report import BUILD_AGAIN, Report
from imagenet2012_subset.errors import DatasetError, SubsetListError, counted
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.prepared.dataset import (
    DATASET,
    INFO_FILE,
    LABELS_FILE,
    PreparedDataset,
    length_and_time,
    open_dataset,
)
from imagenet2012_subset.prepared.provenance import Provenance
from imagenet2012_subset.prepared.records import UnreadableShard, read_shard
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.subset.subset_list import fingerprint, read_subset_list
from imagenet2012_subset.tfds_internals import FileFormat, index_file_path

_ORIGINALS = {"train": TRAINING, "validation": VALIDATION}
_FEATURES = ["file_name", "image", "label"]
_CHECK_ARCHIVE = "Check the archive (check --sha256), then build the dataset again"

# The list of all training images is no larger.
_MAX_LIST_BYTES = 64 << 20


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
    expected = Provenance.of(dataset)
    if num_validation:
        expected = dataclasses.replace(expected, validation_images=num_validation)
    if listed is None:
        listed = _find_list(expected.names_sha256, [manual_dir, index_folder])
    elif expected.names_sha256 not in (None, fingerprint(listed)):
        message = "is not the list that the dataset was built from"
        report.add(False, "subset_list", message)
    well = ", names and labels right"
    if decode:
        well += ", every image decodes"
    if (most := expected.max_examples) is not None:
        report.remarks.append(f"cut on purpose (max_examples_per_split={most})")
        well = f" (cut on purpose to {most:,}){well}"
    for split in sorted({*_ORIGINALS, *dataset.splits}):
        if split not in dataset.splits:
            report.add(False, split, f"the dataset has no such split. {BUILD_AGAIN}")
            continue
        if split not in _ORIGINALS:
            report.add(False, split, f"is not a split of {DATASET}. {BUILD_AGAIN}")
            continue
        found = {}
        for one in dataset.formats:
            is_default = one is dataset.default_format
            subject = split if is_default else f"{split} ({one.value})"
            found[subject] = _read(report, subject, dataset, split, one, decode)
        same = manual_dir is not None and _compare(
            report, split, found, manual_dir, index_folder
        )
        for subject, digests in found.items():
            _check_names(report, subject, split, digests, listed, expected)
            if not any(finding.subject == subject for finding in report.findings):
                message = f"{counted(len(digests), 'record')}{well}"
                if same:
                    message += ", with the same bytes as the original images"
                report.add(True, subject, message, records=len(digests))
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
    for name in sorted(path.name for path in folder.glob(f"{DATASET}-*")):
        if name not in known:  # TFDS ignores it.
            kind = "files that are not shards of this dataset"
            remedy = "Delete them, or build the dataset again"
            report.add_problem("files", kind, name, remedy)
    return dataset


def _find_list(
    sha256: str | None, folders: Iterable[epath.Path | None]
) -> Sequence[str] | None:
    """Returns the names in the list with this fingerprint, if a folder contains it."""
    for folder in filter(None, folders):
        for path in sorted(folder.glob("*.txt")) if sha256 else ():
            try:
                if length_and_time(path)[0] > _MAX_LIST_BYTES:
                    continue
                listed = read_subset_list(path)
            except (OSError, SubsetListError):
                continue
            if fingerprint(listed) == sha256:
                return listed
    return None


def _read(
    report: Report,
    subject: str,
    dataset: PreparedDataset,
    split: str,
    file_format: FileFormat,
    decode: bool,
) -> dict[str, bytes]:
    """Checks every record by itself; returns the digest of each image by name."""
    counts: collections.Counter[str] = collections.Counter()
    digests: dict[str, bytes] = {}

    def images() -> Iterator[tuple[str, bytes]]:
        total = dataset.splits[split].num_examples
        with progress_bar(total=total, desc=f"Checking {subject}", leave=False) as bar:
            for number, path in enumerate(dataset.shard_paths(split, file_format)):
                if not path.is_file():
                    report.add_problem(subject, "shards missing", path.name)
                    continue
                num_read = 0
                try:
                    for record in read_shard(dataset, split, number, file_format):
                        num_read += 1
                        counts[record.name] += 1
                        digests[record.name] = _digest(record.image)
                        if problem := _wrong_label(record.name, record.label):
                            report.add_problem(subject, "wrong labels", problem)
                        bar.update()
                        yield record.name, record.image
                except UnreadableShard as error:
                    where = f"{path.name} after {counted(num_read, 'record')}"
                    problem = f"{where}: {error.problem}"
                    report.add_problem(subject, "shards that cannot be read", problem)

    defects: Iterable[tuple[str, str | None]]
    if decode:
        defects = strict_defects(images(), stores_converted=True)
    else:
        defects = (
            (name, jpeg.defect(name, image, stores_converted=True))
            for name, image in images()
        )
    for name, defect in defects:
        if defect:
            report.add_problem(subject, "damaged images", f"{name} {defect}")
    for name, count in counts.items():
        if count > 1:
            report.add_problem(subject, "images more than once", name)
    return digests


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest()


def _wrong_label(name: str, label: int) -> str | None:
    wnids = names.wnids()
    labelled = wnids[label] if 0 <= label < len(wnids) else f"label {label}"
    truth = names.mismatched_wnid(name, labelled)
    return f"{name} is {truth}, not {labelled}" if truth else None


def _check_names(
    report: Report,
    subject: str,
    split: str,
    found: Collection[str],
    listed: Sequence[str] | None,
    expected: Provenance,
) -> None:
    """Compares the names of the images with those that should exist."""
    wanted, remedy = listed, BUILD_AGAIN
    if split == "validation":
        last = expected.validation_images
        if last is None:
            last = names.NUM_VALIDATION_IMAGES
            remedy += ", or give the right number as --validation_images"
        wanted = [names.validation_name(n) for n in range(1, last + 1)]
    if expected.max_examples is not None:
        # Which images a dataset has that was cut depends on the archives.
        most = expected.max_examples
        number = most if wanted is None else min(most, len(wanted))
        if len(found) > number or (wanted is not None and len(found) < number):
            message = (
                f"it has {counted(len(found), 'image')}, but was built to have "
                f"{number:,} (max_examples_per_split). {BUILD_AGAIN}"
            )
            report.add(False, subject, message, kind="other number")
    elif wanted is not None:
        for name in wanted:
            if name not in found:
                report.add_problem(subject, "images missing", name, remedy)
    elif expected.names_sha256 is None:
        message = (
            "the dataset does not record which images it should contain. Give its list "
            "as --subset_list"
        )
        report.add(False, subject, message, kind="list unknown")
    elif fingerprint(found) != expected.names_sha256:
        message = (
            f"its {counted(len(found), 'name')} are not those of the list that it was "
            "built from. Build the dataset again; its list, given as --subset_list or "
            "in --manual_dir, shows the differences"
        )
        report.add(False, subject, message, kind="other names")
    known = frozenset(wanted or filter(names.training_wnid, found))
    for name in found:
        if name not in known:
            report.add_problem(subject, "images that do not belong here", name)


def _compare(
    report: Report,
    split: str,
    found: Mapping[str, Mapping[str, bytes]],
    manual_dir: epath.Path,
    index_folder: epath.Path | None,
) -> bool:
    """Compares the bytes of images; returns whether their source could be read.

    The source is read once, in its own order, for all formats.

    Args:
      report: to add to.
      split: the name of the split.
      found: by the subject of each format: the digest of each image by name.
      manual_dir: the images to compare with.
      index_folder: where the index of an archive is saved.
    """
    original = _ORIGINALS[split]
    num_compared = 0
    try:
        source = find_source(manual_dir, original, index_folder)
        # `_check_names` reports names that no image has.
        missing = {n for one in found.values() for n in one if names.find_wnid(n)}
        entries = source.look_up(sorted(missing))
        with progress_bar(
            total=len(entries), desc=f"Comparing {split}", leave=False
        ) as bar:
            for part in staged_parts(source, entries):
                for image in part:
                    missing.discard(image.name)
                    digest = _digest(image.data)
                    for subject, digests in found.items():
                        if digests.get(image.name, digest) != digest:
                            kind = f"images with other bytes than {source.path.name}"
                            report.add_problem(
                                subject, kind, image.name, _CHECK_ARCHIVE
                            )
                    num_compared += 1
                    bar.update()
    except DatasetError as error:
        report.add_error(original.file_name, error, compared=num_compared)
        return False
    for subject, digests in found.items():
        for name in digests:
            if name in missing:
                kind = f"images that are not in {source.path.name}"
                report.add_problem(subject, kind, name, _CHECK_ARCHIVE)
    return True
