"""Decides which of the forms of ImageNet in a manual_dir to use."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import DatasetError, ManualDirError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import (
    TRAINING,
    VALIDATION,
    Original,
    label_function,
)
from imagenet2012_subset.sources.advice import Advice, describe_file, why_not_tar
from imagenet2012_subset.sources.hub_parquet import HubParquet, find_parquet_files
from imagenet2012_subset.sources.image_folders import ImageFolders, Layout, layouts_of
from imagenet2012_subset.sources.prepared_imagenet import (
    find_prepared,
    prepared_versions,
)
from imagenet2012_subset.sources.source import Found, Source
from imagenet2012_subset.sources.synset_tars import SYNSET_TAR, SynsetTars
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.storage.open import exists
from imagenet2012_subset.storage.paths import (
    NOT_THERE,
    cannot_list,
    dangling_link,
    entries_of,
    irregular,
    is_folder,
    is_local,
    status,
)
from imagenet2012_subset.tfds_internals import requested_manual_dir

_HOW_TO_GIVE = (
    "Pass the directory that contains ImageNet: DownloadConfig(manual_dir=...), or "
    "--manual_dir of `tfds build`. To get ImageNet, register on "
    "https://image-net.org/download-images and download "
    f"{TRAINING.file_name} and {VALIDATION.file_name} (ILSVRC 2012)"
)

# Where images may be in manual_dir: at the top, where Kaggle's challenge extracts them,
# or in a folder with an obvious name.
_ABOVE = (
    "",
    "ILSVRC/Data/CLS-LOC",
    "imagenet-object-localization-challenge/ILSVRC/Data/CLS-LOC",
    "Data/CLS-LOC",
    "CLS-LOC",
    "ImageNet",
    "imagenet",
    "ILSVRC2012",
    "data",
)

# The names of a split's folders. Those of a group contain a split together: the Hugging
# Face hub's archives extract to several folders.
_TRAINING_FOLDERS: tuple[tuple[str, ...], ...] = (
    ("train",),
    ("ILSVRC2012_img_train",),
    ("ILSVRC2012_train",),
    tuple(f"train_images_{number}" for number in range(5)),
)
_VALIDATION_FOLDERS: tuple[tuple[str, ...], ...] = (
    ("val",),
    ("ILSVRC2012_img_val",),
    ("ILSVRC2012_val",),
    ("validation",),
    ("val_images",),
)

# This many entries are enough to classify a folder of a million.
_GLANCE = 4096
_GLANCE_BELOW = 256
_FOLDERS_GLANCED_AT = 8
_MAX_NEAR = 100
_SHOWN = 5

Form = Callable[[epath.Path, Original, "epath.Path | None"], Iterable[Found]]


class Choice(NamedTuple):
    """The source chosen for a split.

    Attributes:
      source: the images.
      passed_over: descriptions of the other forms of the split, which are not used.
    """

    source: Source
    passed_over: tuple[str, ...]

    def __str__(self) -> str:
        source = self.source
        others = f"; not the {first_of(self.passed_over)}" if self.passed_over else ""
        return f"from {source.path} ({source.form}{others})"


class Sources(NamedTuple):
    """The sources of both splits."""

    training: Source
    validation: Source
    choices: tuple[Choice, ...]

    @contextlib.contextmanager
    def naming_alternatives(self) -> Iterator[None]:
        """Adds the forms that could be used instead to errors about a source.

        Raises:
          DatasetError: the error raised inside, with a longer remedy if other forms of
            the split exist.
        """
        try:
            yield
        except DatasetError as error:
            for choice in self.choices:
                path = os.fspath(choice.source.path)
                if choice.passed_over and f"{error.path}/".startswith(f"{path}/"):
                    raise _or_else(error, path, choice.passed_over) from error
            raise


def find_sources(
    manual_dir: epath.Path,
    index_folder: epath.Path | None = None,
    on_choice: Callable[[str], object] = lambda line: None,
    data_dir: epath.Path | None = None,
) -> Sources:
    """Opens the sources of both splits in a folder, without reading images.

    Args:
      manual_dir: the folder.
      index_folder: where the indices of archives are saved; None saves nothing.
      on_choice: called with a line that names the form that is used.
      data_dir: where TFDS may have prepared `imagenet2012`. It is used if the folder
        contains neither split.

    Raises:
      ManualDirError: if a split is missing, or something else has its name.
      ArchiveError: if an archive cannot be opened.
    """
    # A build from local images must not need obstore, which looks into buckets.
    if data_dir and (not is_local(data_dir) or prepared_versions(data_dir)):
        each = (_find(manual_dir, one) for one in (TRAINING, VALIDATION))
        has_images = any(found.has_images for found in itertools.chain(*each))
        if not has_images and prepared_versions(data_dir):
            manual_dir = data_dir
    training, validation = choices = tuple(
        choose_source(manual_dir, one, index_folder) for one in (TRAINING, VALIDATION)
    )
    on_choice(f"Takes training images {training}, validation images {validation}")
    return Sources(training.source, validation.source, choices)


def find_source(
    manual_dir: epath.Path,
    original: Original,
    index_folder: epath.Path | None = None,
) -> Source:
    """Opens the source of one split in a folder; raises as `find_sources` does."""
    return choose_source(manual_dir, original, index_folder).source


def choose_source(
    manual_dir: epath.Path,
    original: Original,
    index_folder: epath.Path | None = None,
) -> Choice:
    """Opens the first form of a split that a folder contains.

    Args:
      manual_dir: the folder.
      original: the published archive of the split.
      index_folder: as for `find_sources`.

    Raises:
      ManualDirError: as `find_sources`.
      ArchiveError: as `find_sources`.
    """
    _check_folder(manual_dir)
    found = _find(manual_dir, original, index_folder)
    if not found:
        raise _nothing_found(manual_dir, original)
    chosen, *others = found
    passed_over = tuple(other.what for other in others if other.has_images)
    try:
        return Choice(chosen.open(), passed_over)
    except DatasetError as error:
        if passed_over:
            raise _or_else(error, error.path, passed_over) from error
        raise


def manual_dir_of(
    dl_manager: tfds.download.DownloadManager, data_dir: epath.Path | None = None
) -> epath.Path:
    """Returns the folder that users fill by hand.

    If it does not exist or is empty, returns the `data_dir` if TFDS has prepared
    `imagenet2012` there.

    Raises:
      ManualDirError: if it does not exist, is empty or cannot be listed.
    """
    path = requested_manual_dir(dl_manager)
    if data_dir and _is_empty(path) and prepared_versions(data_dir):
        return data_dir
    if path is None:
        raise ManualDirError("manual_dir", "is not given", _HOW_TO_GIVE)
    if not is_local(path):  # Archives in a bucket are looked up by name.
        return path
    _check_folder(path)
    try:
        return epath.Path(dl_manager.manual_dir)
    except OSError as error:
        raise ManualDirError(
            error.filename or path,
            f"cannot be listed ({error.strerror or error})",
            "Make the directory readable for the user who builds the dataset",
        ) from error
    except AssertionError as error:
        raise ManualDirError(path, "is empty", _HOW_TO_GIVE) from error


def _is_empty(folder: epath.Path | None) -> bool:
    if folder is None or not is_local(folder):
        return folder is None
    try:
        return not any(folder.iterdir())
    except OSError as error:
        return error.errno == errno.ENOENT


def _find(
    folder: epath.Path, original: Original, index_folder: epath.Path | None = None
) -> list[Found]:
    """Returns all forms of a split in a folder, the best first."""
    found = [one for form in FORMS for one in form(folder, original, index_folder)]
    # A folder without images is used only if nothing else exists.
    return sorted(found, key=lambda one: not one.has_images)


def _archives(
    folder: epath.Path, original: Original, index_folder: epath.Path | None
) -> Iterator[Found]:
    """Finds the published archive, or a repacked one."""
    seen = set()
    for above in _ABOVE if is_local(folder) else ("",):
        path = folder / above / original.file_name
        real = os.path.realpath(path) if is_local(path) else os.fspath(path)
        if exists(os.fspath(path)) and real not in seen:
            seen.add(real)
            source = functools.partial(_open_archive, path, original, index_folder)
            yield Found(f"archive {path}", True, source)


def _open_archive(
    path: epath.Path, original: Original, index_folder: epath.Path | None
) -> Source:
    if is_local(path):
        if target := dangling_link(path):
            raise ManualDirError(
                path, f"is a broken link to {target}", "Point it to the archive"
            )
        if what := irregular(path):
            advice = _advice_of_folder(path, original)
            remedy = advice.remedy if advice else original.how_to_get
            raise ManualDirError(path, f"is {what}, not a tar", remedy)
    archive = TarArchive(path, original, index_folder)
    if advice := why_not_tar(archive.files, original, os.fspath(path)):
        raise ManualDirError(path, *advice)
    return archive


def _extracted(
    folder: epath.Path, original: Original, index_folder: epath.Path | None
) -> Iterator[Found]:
    """Finds what the archive extracts to: synset tars, or images in folders."""
    if not is_local(folder):
        return
    seen: set[str] = set()
    for paths in _split_folders(folder, original):
        try:
            folders = [path.rstrip("/") for path in paths if _is_folder(path)]
            # Skip other names for the same folder.
            real = {os.path.realpath(path) for path in folders}
            if not folders or real & seen:
                continue
            seen |= real
            is_named = os.path.join(folder, "") not in paths
            yield from _extracted_in(folders, original, index_folder, is_named=is_named)
        except ManualDirError as error:
            yield Found("", False, functools.partial(_raise, error))


def _split_folders(folder: epath.Path, original: Original) -> Iterator[list[str]]:
    """Yields the paths that the folders of a split may have, one group at a time."""
    groups = _folder_groups(original)
    for above, group in itertools.product(_ABOVE, groups):
        yield [os.path.join(folder, above, name) for name in group]
        # Some tools extract a folder into a new folder with its name.
        if len(group) == 1:
            inner = dict.fromkeys([group[0], groups[0][0]])
            yield from ([os.path.join(folder, above, *group, name)] for name in inner)
    # The images may be in the manual directory itself.
    yield [os.path.join(folder, "")]


def _folder_groups(original: Original) -> tuple[tuple[str, ...], ...]:
    return _TRAINING_FOLDERS if original == TRAINING else _VALIDATION_FOLDERS


def _raise(error: ManualDirError) -> Source:
    raise error


def _is_folder(path: str) -> bool:
    try:
        return status(path).what == "a directory"
    except OSError as error:
        if error.errno in NOT_THERE and not os.path.islink(path):
            return False
        reason = error.strerror or str(error)
        raise ManualDirError(
            path,
            f"cannot be looked up ({reason})",
            "If it is a link, point it to a folder or remove it",
        ) from error


def _extracted_in(
    folders: Sequence[str],
    original: Original,
    index_folder: epath.Path | None,
    *,
    is_named: bool,
) -> Iterator[Found]:
    """Yields the forms of a split in folders.

    Folders that are named after the split are a form even if they contain no images.
    """
    glances = [_glance(folder, original) for folder in folders]
    found = []
    num_tars = sum(glance.num_tars for glance in glances)
    if num_tars and original == TRAINING:
        path = epath.Path(folders[0])
        tars = functools.partial(SynsetTars, path, original, index_folder)
        what = f"{counted(num_tars, 'synset tar')} in {path}"
        found.append((num_tars, Found(what, True, tars)))
    layouts = [layout for glance in glances for layout in glance.layouts]
    if layouts or (is_named and not num_tars):
        num_folders = sum(glance.num_folders for glance in glances)
        expected = layouts or [one for path in folders for one in layouts_of(path)]
        tree = functools.partial(ImageFolders, expected, original)
        what = f"images in {folders[0]}"
        found.append((num_folders, Found(what, bool(layouts), tree)))
    # A tar for each synset is as good as before it was extracted; but a tar that was
    # left behind, or a few that are extracted already, are not.
    for _, one in sorted(found, key=lambda each: -each[0]):
        yield one


def _hub_parquet(
    folder: epath.Path, original: Original, index_folder: epath.Path | None
) -> Iterator[Found]:
    """Finds the Hugging Face hub's parquet files."""
    del index_folder
    paths = find_parquet_files(folder, original) if is_local(folder) else []
    if paths:
        what = f"{counted(len(paths), 'parquet file')} in {os.path.dirname(paths[0])}"
        yield Found(what, True, functools.partial(HubParquet, paths, original))


# Adding a form is one line here. The first form of a split with images is used.
FORMS: tuple[Form, ...] = (
    _archives,
    _extracted,
    _hub_parquet,
    find_prepared,
)


class _Glance(NamedTuple):
    """What the first entries of a folder are.

    Attributes:
      num_tars: the number of synset tars.
      num_folders: the number of synset folders.
      layouts: how images of the split are stored there.
    """

    num_tars: int
    num_folders: int
    layouts: tuple[Layout, ...]


def _glance(folder: str, original: Original) -> _Glance:
    label_of = label_function(original)
    layouts: dict[Layout, None] = {}
    num_tars = num_folders = 0

    def note(file_name: bytes, by_synset: bool) -> None:
        image = names.parse_path(file_name)
        if image and label_of(image.name) is not None:
            layouts[Layout(folder, by_synset, image.appended is not None)] = None

    try:
        for number, entry in enumerate(entries_of(folder)):
            if number >= _GLANCE and (num_tars or layouts):
                break
            if names.is_wnid(os.fsdecode(entry.name)) and is_folder(entry):
                num_folders += 1
                if num_folders <= _FOLDERS_GLANCED_AT or not layouts:
                    below = entries_of(os.fsdecode(entry.path))
                    for image in itertools.islice(below, _GLANCE_BELOW):
                        note(image.name, by_synset=True)
            elif SYNSET_TAR.fullmatch(entry.name):
                num_tars += 1
            else:
                note(entry.name, by_synset=False)
    except OSError as error:
        raise cannot_list(folder, error, ManualDirError) from error
    return _Glance(num_tars, num_folders, tuple(layouts))


def _check_folder(manual_dir: epath.Path) -> None:
    # A folder of a bucket exists once it contains something.
    if not is_local(manual_dir):
        return
    try:
        what = status(os.fspath(manual_dir)).what
    except OSError as error:
        if target := dangling_link(manual_dir):
            problem = f"is a broken link to {target}"
        elif error.errno in NOT_THERE:
            problem = "does not exist"
        else:
            problem = f"cannot be looked up ({error.strerror or error})"
        raise ManualDirError(manual_dir, problem, _HOW_TO_GIVE) from error
    if what != "a directory":
        raise ManualDirError(
            manual_dir,
            f"is {what or 'a file'}, not a directory",
            f"Pass the directory that contains the archives: {manual_dir.parent}",
        )


def _or_else(
    error: DatasetError, path: str, passed_over: Sequence[str]
) -> DatasetError:
    """Adds the other forms that could be used to an error."""
    others = first_of([f"the {what}" for what in passed_over])
    remedy = f"{error.remedy}. Or move {path} away, to use {others}"
    return type(error)(error.path, error.problem, remedy)


def _nothing_found(manual_dir: epath.Path, original: Original) -> ManualDirError:
    """Returns the error for a folder without a split, with advice on similar files."""
    path = manual_dir / original.file_name
    if not is_local(manual_dir):
        remedy = f"{original.how_to_get}. In a bucket, only the archives can be used"
        return ManualDirError(path, "does not exist", remedy)
    present: list[str] = []
    with contextlib.suppress(OSError):
        present = sorted(os.listdir(manual_dir))
    clues = list(_clues(manual_dir, present, path, original))
    if clues:
        problems = " and ".join(f"{what} {clue.problem}" for what, clue in clues)
        remedies = dict.fromkeys(clue.remedy for _, clue in clues)
        return ManualDirError(
            path, f"does not exist, but {problems}", ". Or: ".join(remedies)
        )
    contents = ", ".join(present[:_SHOWN]) + (", ..." if present[_SHOWN:] else "")
    seen = f"the directory contains {contents}" if present else "the directory is empty"
    return ManualDirError(
        path,
        f"does not exist ({seen})",
        f"{original.how_to_get}. {_other_forms(original)}",
    )


def _clues(
    manual_dir: epath.Path, present: Sequence[str], path: epath.Path, original: Original
) -> Iterator[tuple[str, Advice]]:
    """Yields files similar to the missing archive, with what to do about them."""
    for name in present[:_MAX_NEAR]:
        near = os.path.join(manual_dir, name)
        if os.path.isfile(near):
            advice = describe_file(near, original, os.fspath(path))
        elif os.path.isdir(near) and not name.startswith("."):
            advice = _advice_of_folder(epath.Path(near), original)
        else:
            advice = None
        if advice:
            yield repr(name), advice
    parent = epath.Path(os.path.abspath(manual_dir)).parent
    if advice := _advice_as_manual_dir(parent, original):
        yield f"the directory above, {parent},", advice


def _advice_of_folder(folder: epath.Path, original: Original) -> Advice | None:
    """Returns how to use a folder of images that has an unexpected name."""
    with contextlib.suppress(DatasetError):
        folders = [os.fspath(folder)]
        for found in _extracted_in(folders, original, None, is_named=False):
            name = _folder_groups(original)[0][0]
            return Advice(f"has {found.what}", f"Rename {folder} to {name}/")
    return _advice_as_manual_dir(folder, original)


def _advice_as_manual_dir(folder: epath.Path, original: Original) -> Advice | None:
    for found in _find(folder, original):
        if found.has_images:
            return Advice(f"has {found.what}", f"Pass {folder} as manual_dir")
    return None


def _other_forms(original: Original) -> str:
    """Returns in words which forms can be used besides the archive itself."""
    if original == TRAINING:
        return (
            "What it extracts to can be used too: train/<wnid>/*.JPEG or "
            "train/<wnid>.tar (or ILSVRC2012_img_train/ instead of train/), Kaggle's "
            "ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG, train/*_<wnid>.JPEG as the "
            "Hugging Face hub's archives extract, or the hub's data/train-*.parquet"
        )
    return (
        "What it extracts to can be used too: val/*.JPEG or val/<wnid>/*.JPEG (or "
        "ILSVRC2012_img_val/ or ILSVRC2012_val/ instead of val/), Kaggle's "
        "ILSVRC/Data/CLS-LOC/val/*.JPEG, val/*_<wnid>.JPEG as the Hugging Face "
        "hub's archives extract, or the hub's data/validation-*.parquet"
    )
