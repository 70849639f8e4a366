"""Checks a manual directory: what is there, and whether it is complete."""

from __future__ import annotations

import collections

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.report import Report
from imagenet2012_subset.choose.config import SubsetConfig
from imagenet2012_subset.choose.select import select_training, select_validation
from imagenet2012_subset.choose.subset_list import difference, read_subset_list
from imagenet2012_subset.errors import DatasetError, first_of
from imagenet2012_subset.find.entries import decoded
from imagenet2012_subset.find.manual_dir import find_source
from imagenet2012_subset.find.source import Source
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.tfds_internals import UrlInfo


def check_archives(
    manual_dir: epath.Path,
    builder_cls: type[tfds.core.DatasetBuilder],
    *,
    index_folder: epath.Path | None = None,
    sha256: bool = False,
) -> Report:
    """Checks the two archives, and the subset lists where there are any.

    Headers alone are read, which takes seconds, unless `sha256` is asked for.

    Args:
      manual_dir: the folder of the archives.
      builder_cls: its configs say which lists there can be.
      index_folder: where what was found is kept for a build; None keeps nothing.
      sha256: also read the archives whole, to compare them with the originals.
    """
    report = Report(str(manual_dir))
    archives = {}
    for original in (TRAINING, VALIDATION):
        try:
            archive = find_source(manual_dir, original, index_folder)
            archive.index()
            archives[original] = archive
        except DatasetError as error:
            report.add(False, original.file_name, f"{error.problem}. {error.remedy}")
    if TRAINING in archives:
        _check_training(report, archives[TRAINING])
    if VALIDATION in archives:
        _check_validation(report, archives[VALIDATION])
    for config in builder_cls.BUILDER_CONFIGS:
        info = builder_cls.url_infos[config.subset_list]
        path = manual_dir / info.filename
        if path.exists():
            _check_list(report, path, config, info, archives.get(TRAINING))
    if sha256:
        for archive in archives.values():
            _check_sha256(report, archive)
    return report


def _check_training(report: Report, archive: Source) -> None:
    per_synset = collections.Counter(
        wnid
        for name in decoded(archive.index().entries.names)
        if (wnid := names.training_wnid(name))
    )
    for wnid in names.wnids():
        per_synset.setdefault(wnid, 0)
    num_images = per_synset.total()
    absent = [wnid for wnid, count in sorted(per_synset.items()) if not count]
    found = archive.index().entries.names.tolist()
    repeated = len(found) - len(set(found))
    complete = num_images == TRAINING.num_images and not absent and not repeated
    message = (
        f"{num_images:,} of {TRAINING.num_images:,} images in "
        f"{len(per_synset) - len(absent):,} of {len(per_synset):,} synsets"
        f"{_sizes(archive)}"
    )
    if repeated:
        message += f"; {repeated:,} names stand more than once"
    if absent:
        message += f"; synsets without an image: {first_of(absent)}"
    if not complete:
        message += f". {TRAINING.how_to_get}"
    report.add(
        complete,
        TRAINING.file_name,
        message,
        size=archive.size,
        original_size=TRAINING.size,
        images=num_images,
        other_files=archive.index().num_others,
        images_per_synset=dict(sorted(per_synset.items())),
    )


def _check_validation(report: Report, archive: Source) -> None:
    facts = {
        "size": archive.size,
        "original_size": VALIDATION.size,
        "images": len(archive.index().entries),
        "other_files": archive.index().num_others,
    }
    try:
        select_validation(archive, archive.original.num_images)
    except DatasetError as error:
        message = f"{error.problem}. {error.remedy}"
        report.add(False, VALIDATION.file_name, message, **facts)
    else:
        message = f"images 1 to {VALIDATION.num_images:,}, each once{_sizes(archive)}"
        report.add(True, VALIDATION.file_name, message, **facts)


def _sizes(source: Source) -> str:
    if source.size is None:
        return ""
    if source.size == source.original.size:
        return f"; {source.size:,} bytes, as the original"
    return f"; {source.size:,} bytes, the original has {source.original.size:,}"


def _check_list(
    report: Report,
    path: epath.Path,
    config: SubsetConfig,
    published: UrlInfo,
    training: Source | None,
) -> None:
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
        message = f"{message}, but the training archive {error.problem}"
        report.add(False, path.name, message)
    else:
        report.add(True, path.name, f"{message}, all in the training archive")


def _check_sha256(report: Report, source: Source) -> None:
    original = source.original
    sha256 = source.sha256()
    same = sha256 == original.sha256
    message = "sha256 as the original's" if same else "sha256 is not the original's"
    report.add(same, original.file_name, message, sha256=sha256)
