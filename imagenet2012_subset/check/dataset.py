"""Audits a prepared dataset, record by record, whoever built it."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Sequence

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.compare import Comparison
from imagenet2012_subset.check.expected import Expected, expected_of
from imagenet2012_subset.check.files import BUILD_AGAIN, missing_shards, open_dataset
from imagenet2012_subset.check.problems import Problems
from imagenet2012_subset.check.records import Record, UnreadableShard, read_shard
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import DatasetError, counted
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.subset.subset_list import fingerprint
from imagenet2012_subset.tfds_internals import tqdm

_ORIGINALS = {"train": TRAINING, "validation": VALIDATION}


def check_dataset(
    folder: epath.Path,
    listed: Sequence[str] | None = None,
    *,
    num_validation: int | None = None,
    manual_dir: epath.Path | None = None,
    index_folder: epath.Path | None = None,
    lists_in: Iterable[epath.Path] = (),
) -> Report:
    """Checks every record: its checksum, name, label and image; and that none lacks.

    Args:
      folder: the prepared dataset, which has a `dataset_info.json`.
      listed: the names of its training images. Without them the names in the dataset
        are compared with the fingerprint of a published list, or with the one that
        the builder noted; that tells whether all are there, not which are missing.
      num_validation: how many validation images it should have; None for as many as
        the builder noted, or else all 50,000.
      manual_dir: the archives, to compare image bytes with; None leaves that out.
      index_folder: where what lies in the archives is kept.
      lists_in: folders beside `manual_dir` in which its list may lie.
    """
    report = Report(str(folder))
    builders = open_dataset(report, folder)
    folders = [*lists_in] if manual_dir is None else [manual_dir, *lists_in]
    expected = expected_of(folder, listed, num_validation, folders)
    sha256 = expected.training_sha256
    if listed is not None and sha256 not in (None, fingerprint(listed)):
        message = "the list given is not the one that the dataset was built from"
        report.add(False, "subset_list", message)
    comparisons: dict[str, Comparison | None] = {}
    for number, builder in enumerate(builders):
        for split in sorted({*_ORIGINALS, *builder.info.splits}):
            name = f"{split} ({builder.info.file_format.value})" if number else split
            if split not in builder.info.splits:
                message = "the dataset has no such split. Build it again"
                report.add(False, name, message)
            elif split not in _ORIGINALS:
                report.add(False, name, "is no split of this dataset. Build it again")
            else:
                # Once for all formats: to find the images may take a while.
                if manual_dir is not None and split not in comparisons:
                    comparisons[split] = _comparison(
                        report, split, expected, manual_dir, index_folder
                    )
                comparison = comparisons.get(split)
                _check_split(report, builder, split, name, expected, comparison)
    return report


def _comparison(
    report: Report,
    split: str,
    expected: Expected,
    manual_dir: epath.Path,
    index_folder: epath.Path | None,
) -> Comparison | None:
    original = _ORIGINALS[split]
    wanted = expected.names_of(split)
    try:
        source = find_source(manual_dir, original, index_folder)
        if wanted is None:
            wanted = decoded(source.listing().names)
        entries = source.look_up(wanted)
    except DatasetError as error:
        _add_error(report, original.file_name, error)
        return None
    return Comparison(source, entries)


def _check_split(
    report: Report,
    builder: tfds.core.DatasetBuilder,
    split: str,
    subject: str,
    expected: Expected,
    comparison: Comparison | None,
) -> None:
    problems = Problems()
    seen: collections.Counter[str] = collections.Counter()
    info = builder.info.splits[split]
    shards = [path.name for path in info.filepaths]
    missing = missing_shards(builder, split)
    for number in missing:
        problems.add("shards missing", shards[number])
    with tqdm(total=info.num_examples, desc=f"Checking {subject}", leave=False) as bar:
        for number in sorted({*range(len(shards))}.difference(missing)):
            before = seen.total()
            try:
                for chunk in read_shard(builder, split, number):
                    seen.update(record.name for record in chunk)
                    for record in chunk:
                        _check_record(problems, record)
                    if comparison:
                        comparison.compare(problems, chunk)
                    bar.update(len(chunk))
            except UnreadableShard as error:
                where = f"{shards[number]} after {seen.total() - before:,} records"
                problems.add("shards that cannot be read", f"{where}: {error}")
    _check_names(problems, split, seen, expected)
    compared = ""
    if comparison and comparison.error:
        _add_error(report, _ORIGINALS[split].file_name, comparison.error)
    elif comparison:
        compared = ", their bytes those of the archive"
    well = f"{seen.total():,} records, names and labels right{compared}"
    problems.report(report, subject, well, seen.total())


def _check_record(problems: Problems, record: Record) -> None:
    if defect := jpeg.defect(record.name, record.image, stores_converted=True):
        problems.add("defective images", f"{record.name} {defect}")
    try:
        truth = names.wnid(record.name)
    except ValueError:
        return  # That such a name does not belong here shows with the others.
    if record.wnid != truth:
        wrong = f"{record.name} is {truth}, not {record.wnid}"
        problems.add("wrong labels", wrong)


def _check_names(
    problems: Problems,
    split: str,
    seen: collections.Counter[str],
    expected: Expected,
) -> None:
    for name, count in seen.items():
        if count > 1:
            problems.add("images more than once", name)
    wanted = expected.names_of(split)
    known = frozenset(wanted or filter(names.training_wnid, seen))
    if expected.max_examples is not None:
        _check_number(problems, seen, wanted, expected.max_examples)
    elif wanted is not None:
        remedy = BUILD_AGAIN
        if split == "validation" and not expected.is_number_known:
            remedy += ", or say with --validation_images how many there should be"
        for name in wanted:
            if name not in seen:
                problems.add("images missing", name, remedy)
    elif expected.training_sha256 is None:
        problems.say(
            "list unknown",
            "which images it should have is noted nowhere. Give its list as "
            "--subset_list",
        )
    elif fingerprint(seen) != expected.training_sha256:
        problems.say(
            "other names",
            f"its {counted(len(seen), 'name')} are not those of the list that it was "
            "built from. Build the dataset again; its list, given as --subset_list or "
            "in --manual_dir, shows what differs",
        )
    for name in seen:
        if name not in known:
            problems.add("images that do not belong here", name)


def _check_number(
    problems: Problems,
    seen: Collection[str],
    wanted: Collection[str] | None,
    max_examples: int,
) -> None:
    """Checks a split that was cut on purpose: which images it has follows from more."""
    number = max_examples if wanted is None else min(max_examples, len(wanted))
    if len(seen) > number or (wanted is not None and len(seen) < number):
        problems.say(
            "other number",
            f"it has {counted(len(seen), 'image')}, but was built to have {number:,} "
            f"(max_examples_per_split). {BUILD_AGAIN}",
        )


def _add_error(report: Report, subject: str, error: DatasetError) -> None:
    report.add(False, subject, f"{error.problem}. {error.remedy}")
