"""In which forms people have ImageNet's images, and which of them lies in a folder."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

from etils import epath

from imagenet2012_subset.errors import ManualDirError, counted
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, Original
from imagenet2012_subset.sources.image_folders import ImageFolders, Layout, layouts_of
from imagenet2012_subset.sources.source import Source
from imagenet2012_subset.sources.synset_tars import SYNSET_TAR, SynsetTars
from imagenet2012_subset.storage.folders import entries_of, is_folder, status
from imagenet2012_subset.storage.paths import is_local

# Where below manual_dir the folders of the splits may lie: there, as Kaggle's challenge
# extracts, or in a folder that somebody made for them.
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

# What these folders are called, a group for those that only together have a split: the
# Hugging Face hub's archives extract to several.
_TRAINING_FOLDERS: tuple[tuple[str, ...], ...] = (
    ("train",),
    ("ILSVRC2012_img_train",),
    ("ILSVRC2012_train",),
    tuple(f"train_images_{number}" for number in range(5)),
    ("",),
)
_VALIDATION_FOLDERS: tuple[tuple[str, ...], ...] = (
    ("val",),
    ("ILSVRC2012_img_val",),
    ("ILSVRC2012_val",),
    ("validation",),
    ("val_images",),
    ("",),
)

# So many entries show of which kind a folder is. Of a million it is not worth while to
# list all to learn that.
_GLANCE = 4096
_FOLDERS_GLANCED_AT = 8


@dataclasses.dataclass(frozen=True)
class Form:
    """Images of a split that are there, not opened yet.

    Attributes:
      what: in words, what they are and where.
      num_synsets: in how many tars or folders of a synset each; 0 if in none.
      has_images: whether an image or a tar of the split was seen.
      source: opens them.
    """

    what: str
    num_synsets: int
    has_images: bool
    source: Callable[[], Source]


def what_will_do(original: Original) -> str:
    """Returns in words which forms there are besides the archive itself."""
    if original == TRAINING:
        return (
            "Also what it extracts to will do: train/<wnid>/*.JPEG or train/<wnid>.tar "
            "(or ILSVRC2012_img_train/ in place of train/), Kaggle's "
            "ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG, or train/*_<wnid>.JPEG as the "
            "Hugging Face hub's archives extract"
        )
    return (
        "Also what it extracts to will do: val/*.JPEG or val/<wnid>/*.JPEG (or "
        "ILSVRC2012_img_val/ or ILSVRC2012_val/ in place of val/), Kaggle's "
        "ILSVRC/Data/CLS-LOC/val/*.JPEG, or val/*_<wnid>.JPEG as the Hugging Face "
        "hub's archives extract"
    )


def find_forms(
    manual_dir: epath.Path, original: Original, index_folder: epath.Path | None
) -> tuple[list[Form], list[ManualDirError]]:
    """Returns all that a folder has of a split besides the archive, the best first.

    Folders are looked into where a split's images would be, and no further. For each
    that cannot be looked into there is an error.
    """
    if not is_local(manual_dir):
        return [], []
    groups = _TRAINING_FOLDERS if original == TRAINING else _VALIDATION_FOLDERS
    found: list[Form] = []
    problems: list[ManualDirError] = []
    seen: set[str] = set()
    for above, group in itertools.product(_ABOVE, groups):
        paths = [os.path.join(manual_dir, above, name) for name in group]
        # The manual directory itself may have them; what lies above others may not.
        if above and group == ("",):
            continue
        try:
            folders = [path.rstrip("/") for path in paths if _is_folder(path)]
        except ManualDirError as error:
            problems.append(error)
            continue
        # By another name, or where names in capitals are the same, it is no other one.
        real = {os.path.realpath(folder) for folder in folders}
        if folders and not real & seen:
            seen |= real
            is_named = group != ("",)
            try:
                found += _forms_in(folders, original, index_folder, is_named)
            except ManualDirError as error:
                problems.append(error)
    # Of those with images the first; where none has, what is called as one would be.
    return sorted(found, key=lambda form: not form.has_images), problems


def _is_folder(path: str) -> bool:
    try:
        return status(path).what == "a directory"
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR) and not os.path.islink(path):
            return False
        reason = error.strerror or str(error)
        raise ManualDirError(
            path,
            f"cannot be looked up ({reason})",
            "If it is a link, let it point to a folder, or remove it",
        ) from error


def _forms_in(
    folders: Sequence[str],
    original: Original,
    index_folder: epath.Path | None,
    is_named: bool,
) -> Iterator[Form]:
    """Yields what folders have of a split."""
    glances = [_glance(folder, original) for folder in folders]
    forms = []
    num_tars = sum(glance.num_tars for glance in glances)
    if num_tars and original == TRAINING:
        folder = epath.Path(folders[0])

        def open_tars() -> Source:
            return SynsetTars(folder, original, index_folder)

        what = f"{counted(num_tars, 'synset tar')} in {folder}"
        forms.append(Form(what, num_tars, True, open_tars))
    layouts = [layout for glance in glances for layout in glance.layouts]
    if layouts or (is_named and not num_tars):

        def open_tree() -> Source:
            expected = layouts or [
                one for folder in folders for one in layouts_of(folder)
            ]
            return ImageFolders(expected, original)

        num_folders = sum(glance.num_folders for glance in glances)
        has_images = bool(layouts)
        what = f"images in {folders[0]}"
        forms.append(Form(what, num_folders, has_images, open_tree))
    # A tar for each synset is as good as before it was extracted; but what one was left
    # behind, or not extracted yet, is not.
    yield from sorted(forms, key=lambda form: -form.num_synsets)


@dataclasses.dataclass(frozen=True)
class _Glance:
    """What the first entries of a folder are.

    Attributes:
      num_tars: how many tars of a synset.
      num_folders: how many folders of a synset.
      layouts: in which ways there are images of the split.
    """

    num_tars: int
    num_folders: int
    layouts: tuple[Layout, ...]


def _glance(folder: str, original: Original) -> _Glance:
    layouts: dict[Layout, None] = {}
    num_tars = num_folders = 0
    try:
        for number, entry in enumerate(entries_of(folder)):
            if number >= _GLANCE and (num_tars or layouts):
                break
            if names.is_wnid(os.fsdecode(entry.name)) and is_folder(entry):
                num_folders += 1
                if num_folders <= _FOLDERS_GLANCED_AT or not layouts:
                    below = itertools.islice(entries_of(os.fsdecode(entry.path)), 256)
                    for image in below:
                        _note(layouts, folder, True, image.name, original)
            elif SYNSET_TAR.fullmatch(entry.name):
                num_tars += 1
            else:
                _note(layouts, folder, False, entry.name, original)
    except OSError as error:
        raise ManualDirError(
            os.fsdecode(error.filename or folder),
            f"cannot be listed ({error.strerror or error})",
            "Make it readable for the user who builds the dataset",
        ) from error
    return _Glance(num_tars, num_folders, tuple(layouts))


def _note(
    layouts: dict[Layout, None],
    folder: str,
    by_synset: bool,
    file_name: bytes,
    original: Original,
) -> None:
    if image := names.parse_path(file_name):
        name = image.name.decode()
        is_training = names.training_wnid(name) is not None
        is_validation = names.validation_number(name) is not None
        if is_training if original == TRAINING else is_validation:
            layouts[Layout(folder, by_synset, image.appended is not None)] = None
