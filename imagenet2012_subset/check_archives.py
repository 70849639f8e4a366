"""Checks a manual directory: what is there, and whether it is complete."""

from __future__ import annotations

import collections
import hashlib

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import selection, synsets
from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.archives import Archive, locate_archives
from imagenet2012_subset.config import SubsetConfig
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.manual_dir import (
    TRAINING,
    VALIDATION,
    Original,
    open_original,
)
from imagenet2012_subset.members import decoded
from imagenet2012_subset.report import Report
from imagenet2012_subset.subset_list import read_subset_list
from imagenet2012_subset.tfds_internals import tqdm

_HASH_BYTES = 8 << 20


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
            file = open_original(manual_dir, original)
            (archives[original],) = locate_archives([file], index_folder)
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
            _check_list(report, path, config, info.checksum, archives.get(TRAINING))
    if sha256:
        for original, archive in archives.items():
            _check_sha256(report, archive.file, original)
    return report


def _check_training(report: Report, archive: Archive) -> None:
    per_synset = collections.Counter(
        wnid
        for name in decoded(archive.located.images.names)
        if (wnid := synsets.training_wnid(name))
    )
    for wnid in synsets.wnids():
        per_synset.setdefault(wnid, 0)
    num_images = per_synset.total()
    absent = [wnid for wnid, count in sorted(per_synset.items()) if not count]
    names = archive.located.images.names
    repeated = len(names) - len(set(names.tolist()))
    complete = num_images == TRAINING.num_images and not absent and not repeated
    message = (
        f"{num_images:,} of {TRAINING.num_images:,} images in "
        f"{len(per_synset) - len(absent):,} of {len(per_synset):,} synsets"
        f"{_sizes(archive.file, TRAINING)}"
    )
    if repeated:
        message += f"; {repeated:,} names stand more than once"
    if absent:
        message += f"; synsets without an image: {selection.first_of(absent)}"
    if not complete:
        message += f". {TRAINING.how_to_get}"
    report.add(
        complete,
        TRAINING.file_name,
        message,
        size=archive.file.size,
        original_size=TRAINING.size,
        images=num_images,
        other_files=archive.located.num_others,
        images_per_synset=dict(sorted(per_synset.items())),
    )


def _check_validation(report: Report, archive: Archive) -> None:
    facts = {
        "size": archive.file.size,
        "original_size": VALIDATION.size,
        "images": len(archive.located.images),
        "other_files": archive.located.num_others,
    }
    try:
        selection.select_validation(archive.file, archive.located)
    except DatasetError as error:
        message = f"{error.problem}. {error.remedy}"
        report.add(False, VALIDATION.file_name, message, **facts)
    else:
        message = (
            f"images 1 to {VALIDATION.num_images:,}, each once"
            f"{_sizes(archive.file, VALIDATION)}"
        )
        report.add(True, VALIDATION.file_name, message, **facts)


def _sizes(file: ArchiveFile, original: Original) -> str:
    if file.size == original.size:
        return f"; {file.size:,} bytes, as the original"
    return f"; {file.size:,} bytes, the original has {original.size:,}"


def _check_list(
    report: Report,
    path: epath.Path,
    config: SubsetConfig,
    sha256: str,
    training: Archive | None,
) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        message = f"not the list of config {config.name}: its sha256 is another"
        report.add(False, path.name, message)
        return
    listed = read_subset_list(path)
    message = f"the list of config {config.name}, {len(listed):,} names"
    if training is None:
        report.add(True, path.name, message)
        return
    try:
        selection.select_training(training.file, training.located, listed)
    except DatasetError as error:
        message = f"{message}, but the training archive {error.problem}"
        report.add(False, path.name, message)
    else:
        report.add(True, path.name, f"{message}, all in the training archive")


def _check_sha256(report: Report, file: ArchiveFile, original: Original) -> None:
    digest = hashlib.sha256()
    with (
        file.path.open("rb") as source,
        tqdm(
            total=file.size,
            desc=f"sha256 {file.path.name}",
            unit="B",
            unit_scale=True,
            leave=False,
        ) as bar,
    ):
        while block := source.read(_HASH_BYTES):
            digest.update(block)
            bar.update(len(block))
    same = digest.hexdigest() == original.sha256
    message = "sha256 as the original's" if same else "sha256 is not the original's"
    report.add(same, original.file_name, message, sha256=digest.hexdigest())
