"""Checks a manual directory: in which form what is there, and whether all of it."""

from __future__ import annotations

import collections
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import DatasetError, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION, Original
from imagenet2012_subset.sources.discovery import Choice, choose_source
from imagenet2012_subset.sources.source import Source, decoded
from imagenet2012_subset.storage.paths import irregular
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.select import select_training, select_validation
from imagenet2012_subset.subset.subset_list import difference, read_subset_list
from imagenet2012_subset.tfds_internals import UrlInfo


def check_archives(
    manual_dir: epath.Path,
    builder_cls: type[tfds.core.DatasetBuilder],
    *,
    index_folder: epath.Path | None = None,
    sha256: bool = False,
) -> Report:
    """Checks the images of both splits, and the subset lists where there are any.

    Of archives headers alone are read, which takes seconds, unless `sha256` is asked
    for; of extracted images names alone, and the size of each listed one.

    Args:
      manual_dir: the folder of the archives, or of what was extracted of them.
      builder_cls: its configs say which lists there can be.
      index_folder: where what was found is kept for a build; None keeps nothing.
      sha256: also read archives whole, to compare them with the originals.
    """
    report = Report(str(manual_dir))
    sources: dict[Original, Source] = {}
    for original, check in (
        (TRAINING, _check_training),
        (VALIDATION, _check_validation),
    ):
        try:
            choice = choose_source(manual_dir, original, index_folder)
            check(report, choice)
            sources[original] = choice.source
        except DatasetError as error:
            subject = _subject(manual_dir, epath.Path(error.path))
            report.add(False, subject, f"{error.problem}. {error.remedy}")
    for config in builder_cls.BUILDER_CONFIGS:
        info = builder_cls.url_infos[config.subset_list]
        path = manual_dir / info.filename
        if path.exists():
            _check_list(report, path, config, info, sources.get(TRAINING))
    if sha256:
        for source in sources.values():
            _check_sha256(report, source)
    return report


def _subject(manual_dir: epath.Path, path: epath.Path) -> str:
    """Returns what to call a path: that from the directory on, where it is in it."""
    inside = path.is_relative_to(manual_dir) and path != manual_dir
    return str(path.relative_to(manual_dir)) if inside else path.name


def _facts(choice: Choice) -> dict[str, Any]:
    source = choice.source
    listing = source.listing()
    return {
        "path": str(source.path),
        "form": source.form,
        "passed_over": list(choice.passed_over),
        "size": source.size,
        "original_size": source.original.size,
        "images": len(listing.names),
        "other_files": listing.num_others,
    }


def _check_training(report: Report, choice: Choice) -> None:
    source = choice.source
    found = decoded(source.listing().names)
    per_synset = collections.Counter(
        wnid for name in found if (wnid := names.training_wnid(name))
    )
    for wnid in names.wnids():
        per_synset.setdefault(wnid, 0)
    num_images = per_synset.total()
    absent = [wnid for wnid, count in sorted(per_synset.items()) if not count]
    repeated = len(found) - len(set(found))
    complete = num_images == TRAINING.num_images and not absent and not repeated
    message = (
        f"{num_images:,} of {TRAINING.num_images:,} images in "
        f"{len(per_synset) - len(absent):,} of {len(per_synset):,} synsets"
        f"{_sizes(choice)}"
    )
    if repeated:
        message += f"; {repeated:,} names stand more than once"
    if absent:
        message += f"; synsets without an image: {first_of(absent)}"
    if not complete:
        message += f". {source.remedy}"
    facts = {
        **_facts(choice),
        "images": num_images,
        "images_per_synset": dict(sorted(per_synset.items())),
    }
    report.add(complete, source.path.name, message, **facts)


def _check_validation(report: Report, choice: Choice) -> None:
    source = choice.source
    facts = _facts(choice)
    try:
        select_validation(source, source.original.num_images)
    except DatasetError as error:
        message = f"{error.problem}. {error.remedy}"
        report.add(False, source.path.name, message, **facts)
    else:
        number = source.original.num_images
        message = f"images 1 to {number:,}, each once{_sizes(choice)}"
        report.add(True, source.path.name, message, **facts)


def _sizes(choice: Choice) -> str:
    """Returns the form of what was found, its size where it has one, and the rest."""
    source = choice.source
    if source.size is None:
        said = f"; {source.form}"
    elif source.size == source.original.size:
        said = f"; {source.size:,} bytes, as the original"
    else:
        said = f"; {source.size:,} bytes, the original has {source.original.size:,}"
    if choice.passed_over:
        said += f" (taken in place of the {first_of(choice.passed_over)})"
    return said


def _check_list(
    report: Report,
    path: epath.Path,
    config: SubsetConfig,
    published: UrlInfo,
    training: Source | None,
) -> None:
    if what := irregular(path):
        report.add(False, path.name, f"is {what}, not a file. Replace it by the list")
        return
    try:
        problem = difference(path, published)
        listed = [] if problem else read_subset_list(path)
    except DatasetError as error:
        problem = error.problem
    if problem:
        message = f"not the list of config {config.name}: it {problem}"
        report.add(False, path.name, f"{message}. Download {config.subset_list} again")
        return
    message = f"the list of config {config.name}, {len(listed):,} names"
    if training is None:
        report.add(True, path.name, message)
        return
    try:
        select_training(training, listed)
    except DatasetError as error:
        message = f"{message}, but {error.path} {error.problem}"
        report.add(False, path.name, message)
    else:
        report.add(True, path.name, f"{message}, all there")


def _check_sha256(report: Report, source: Source) -> None:
    original = source.original
    sha256 = source.sha256()
    if sha256 is None:
        message = f"sha256 not compared: that of {original.file_name} alone is known"
        report.add(True, source.path.name, message)
        return
    same = sha256 == original.sha256
    message = "sha256 as the original's" if same else "sha256 is not the original's"
    report.add(same, original.file_name, message, sha256=sha256)
