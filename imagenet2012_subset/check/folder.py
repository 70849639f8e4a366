"""Identifies what a directory contains, datasets or images, and checks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etils import epath

from imagenet2012_subset.check.dataset import check_dataset
from imagenet2012_subset.check.images import check_images
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import (
    DatasetError,
    ManualDirError,
    counted,
    first_of,
)
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION, Original
from imagenet2012_subset.imagenet2012_subset_dataset_builder import Builder
from imagenet2012_subset.prepared.dataset import DATASET, INFO_FILE, VERSION
from imagenet2012_subset.sources.discovery import Choice, choose_source
from imagenet2012_subset.sources.index_cache import index_folder_in
from imagenet2012_subset.sources.source import Source, decoded
from imagenet2012_subset.storage.paths import absolute, irregular
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.select import select_training, select_validation
from imagenet2012_subset.subset.subset_list import difference, read_subset_list
from imagenet2012_subset.tfds_internals import UrlInfo

_NUM_TRAINING_IMAGES = TRAINING.num_images
_WHAT_TO_GIVE = (
    "Pass a manual directory, a dataset (the directory with dataset_info.json) or a "
    "data_dir"
)
# Where the directory of a config, of a dataset, and a `data_dir` contain versions.
_VERSIONS = ("*.*.*", "*/*.*.*", f"{DATASET}/*/*.*.*")


def check_folder(
    folder: epath.Path,
    *,
    data_dir: epath.Path | None = None,
    manual_dir: epath.Path | None = None,
    subset_list: str | None = None,
    validation_images: int | None = None,
    sha256: bool = False,
    decode: bool = False,
) -> Report:
    """Checks a manual directory, a prepared dataset, or all datasets in a `data_dir`.

    Writes nothing but the index of an archive, and only into a directory in which
    datasets are built.

    Args:
      folder: the directory.
      data_dir: where datasets are built; by default that of the checked dataset, if
        it also contains downloads.
      manual_dir: for a dataset: the images to compare it with.
      subset_list: the list that a dataset was built from, or whose images a manual
        directory must contain.
      validation_images: how many there should be.
      sha256: for a manual directory: whether to read the archives in full.
      decode: whether to decode every image strictly.

    Raises:
      ManualDirError: if the directory does not exist.
      SubsetListError: if the list cannot be read or is invalid.
    """
    datasets = None
    try:
        problem = "is not a directory" if folder.exists() else "does not exist"
        if folder.is_dir():
            datasets = _datasets_in(folder)
    except OSError as error:
        problem = f"cannot be listed ({error.strerror or error})"
    if datasets is None:
        raise ManualDirError(folder, problem, _WHAT_TO_GIVE)
    listed = read_subset_list(subset_list) if subset_list else None
    report = Report(str(folder))
    for dataset in datasets:
        checked = check_dataset(
            dataset,
            listed,
            num_validation=validation_images,
            manual_dir=manual_dir,
            index_folder=_index_folder(dataset, data_dir),
            decode=decode,
        )
        if dataset == folder:
            report = checked
        else:
            report.include(checked, str(dataset.relative_to(folder)))
    originals = [folder / original.file_name for original in (TRAINING, VALIDATION)]
    has_archives = any(path.exists() for path in originals)
    if not datasets or (has_archives and folder not in datasets):
        images = _check_manual_dir(
            folder,
            listed,
            index_folder=_index_folder(folder, data_dir),
            num_validation=validation_images or VALIDATION.num_images,
            sha256=sha256,
            decode=decode,
        )
        if datasets:
            report.include(images, "manual_dir")
        else:
            report = images
    elif sha256:
        report.remarks.append("--sha256 has no effect on a prepared dataset")
    if manual_dir and not datasets:
        report.remarks.append("--manual_dir has no effect on a manual directory")
    return report


def _datasets_in(folder: epath.Path) -> list[epath.Path]:
    """Returns the folder if it is a dataset, complete or not, else those in it."""
    if _has_shards(folder):
        return [folder]
    if any((folder / name).exists() for name in (INFO_FILE, "features.json")):
        # Another dataset can be used as a manual directory.
        return [] if _is_manual_dir(folder) else [folder]
    return sorted(
        path
        for pattern in _VERSIONS
        for path in folder.glob(pattern)
        if VERSION.fullmatch(path.name) and _has_shards(path)
    )


def _is_manual_dir(folder: epath.Path) -> bool:
    try:
        choose_source(folder, TRAINING)
    except DatasetError:
        return False
    return True


def _has_shards(folder: epath.Path) -> bool:
    return any(folder.glob(f"{DATASET}-*"))


def _index_folder(folder: epath.Path, data_dir: epath.Path | None) -> epath.Path | None:
    """Returns where indices are saved; `folder` may be in a `data_dir`."""
    downloads = data_dir / "downloads" if data_dir else None
    above = [*epath.Path(absolute(folder)).parents][:3]
    if downloads is None and len(above) == 3 and above[1].name == DATASET:
        beside = above[2] / "downloads"
        downloads = beside if beside.is_dir() else None
    return index_folder_in(downloads) if downloads else None


def _check_manual_dir(
    manual_dir: epath.Path,
    listed: Sequence[str] | None,
    *,
    index_folder: epath.Path | None,
    num_validation: int,
    sha256: bool,
    decode: bool,
) -> Report:
    """Checks the images of both splits, and the published subset lists, if any.

    Without `sha256` and `decode` this takes seconds: only headers are read from
    archives, and only names and sizes of extracted images are looked up.
    """
    report = Report(str(manual_dir))
    sources: dict[Original, Source] = {}
    for original in (TRAINING, VALIDATION):
        try:
            choice = choose_source(manual_dir, original, index_folder)
            if original == TRAINING:
                _check_training(report, choice)
            else:
                _check_validation(report, choice, num_validation)
            sources[original] = choice.source
        except DatasetError as error:
            report.add_error(_subject(manual_dir, epath.Path(error.path)), error)
    training = sources.get(TRAINING)
    for config in Builder.BUILDER_CONFIGS:
        info = Builder.url_infos[config.subset_list]
        path = manual_dir / info.filename
        if path.exists():
            _check_published_list(report, path, config, info, training)
    if listed is not None and training:
        description = f"the given list, {counted(len(listed), 'name')}"
        _check_list(report, "subset_list", description, listed, training)
    for original, source in sources.items():
        if sha256:
            _check_sha256(report, source)
        if decode:
            check_images(report, source, listed if original == TRAINING else None)
    return report


def _subject(manual_dir: epath.Path, path: epath.Path) -> str:
    """Returns how the report names a path: relative to the directory if it is in it."""
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
    per_synset = dict.fromkeys(names.wnids(), 0)
    for name in found:
        if wnid := names.training_wnid(name):
            per_synset[wnid] += 1
    num_images = sum(per_synset.values())
    empty = [wnid for wnid, count in per_synset.items() if not count]
    num_repeated = len(found) - len(set(found))
    complete = num_images == _NUM_TRAINING_IMAGES and not empty and not num_repeated
    message = (
        f"{num_images:,} of {_NUM_TRAINING_IMAGES:,} images in "
        f"{len(per_synset) - len(empty):,} of {len(per_synset):,} synsets"
        f"{_form(choice)}"
    )
    if num_repeated:
        message += f"; {counted(num_repeated, 'name')} more than once"
    if empty:
        message += f"; synsets without images: {first_of(empty)}"
    if not complete:
        message += f"{_instead(source, message)}. {source.remedy}"
    facts = _facts(choice) | {"images": num_images, "images_per_synset": per_synset}
    report.add(complete, source.path.name, message, **facts)


def _check_validation(report: Report, choice: Choice, number: int) -> None:
    source = choice.source
    problem = None
    message = f"images 1 to {number:,}, each once{_form(choice)}"
    try:
        select_validation(source, number)
    except DatasetError as error:
        problem = error.problem
        message = f"{problem}{_instead(source, problem)}. {error.remedy}"
    report.add(not problem, source.path.name, message, **_facts(choice))


def _form(choice: Choice) -> str:
    """Returns the form of the source, its size if it has one, and what is not used."""
    source = choice.source
    if source.size is None:
        text = f"; {source.form}"
    elif source.size == source.original.size:
        text = f"; {source.size:,} bytes, the same as the original"
    else:
        text = f"; {source.size:,} bytes, the original has {source.original.size:,}"
    if choice.passed_over:
        text += f" (used instead of the {first_of(choice.passed_over)})"
    return text


def _instead(source: Source, message: str) -> str:
    """Describes the other files found, except those the message already names."""
    listing = source.listing()
    text = "".join(f"; {one}" for one in listing.remarks if one not in message)
    if listing.num_others and listing.others[0] not in message:
        others = counted(listing.num_others, "file")
        text += f"; {others} with other names ({first_of(listing.others)})"
    return text


def _check_published_list(
    report: Report,
    path: epath.Path,
    config: SubsetConfig,
    published: UrlInfo,
    training: Source | None,
) -> None:
    if what := irregular(path):
        report.add(False, path.name, f"is {what}, not a file. Replace it with the list")
        return
    try:
        problem = difference(path, published)
        listed = [] if problem else read_subset_list(path)
    except DatasetError as error:
        problem = error.problem
    if problem:
        message = f"is not the list of config {config.name}: it {problem}"
        report.add(False, path.name, f"{message}. Download {config.subset_list} again")
        return
    description = f"the list of config {config.name}, {len(listed):,} names"
    _check_list(report, path.name, description, listed, training)


def _check_list(
    report: Report,
    subject: str,
    description: str,
    listed: Sequence[str],
    training: Source | None,
) -> None:
    if training is None:
        report.add(True, subject, description)
        return
    try:
        select_training(training, listed)
    except DatasetError as error:
        instead = _instead(training, error.problem)
        message = f"{description}, but {error.path} {error.problem}{instead}"
        report.add(False, subject, f"{message}. {error.remedy}")
    else:
        report.add(True, subject, f"{description}, all of which exist")


def _check_sha256(report: Report, source: Source) -> None:
    original = source.original
    sha256 = source.sha256()
    if sha256 is None:
        message = f"sha256 not compared: only that of {original.file_name} is known"
        report.add(True, source.path.name, message)
        return
    same = sha256 == original.sha256
    message = f"sha256 {'matches' if same else 'does not match'} the original"
    report.add(same, original.file_name, message, sha256=sha256)
