"""A dataset's final place: taken by a whole dataset, or left as it was.

A build has a folder of its own beside the final place, and writes there. Only what is
whole and synced is moved on, by renaming, which is all or nothing:

    final place          folder of the build
    -----------          -------------------
    old                  new (whole, synced)
    -                    new, replaced-0 (the old one)
    new                  replaced-0
    new                  -

So at each moment one whole dataset is in the final place, or can go back there: in the
second line, which lasts from one rename to the next, the build's folder has both the
new dataset and the old one. Whoever finds that and an empty final place puts the old
one back. Nothing is ever deleted in the final place, but in a build's folder alone, and
a dataset that is being deleted never lies beside a new one. To exchange the two in one
call would save the second line, but macOS, network and layered file systems lack that
call, so that this way would be needed all the same.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import uuid
from collections.abc import Iterator

from absl import logging
from etils import epath

from imagenet2012_subset.storage.sync import sync_names
from imagenet2012_subset.tfds_internals import INCOMPLETE_PREFIX

_REPLACED_PREFIX = "replaced-"


@contextlib.contextmanager
def folder_of_build(final: epath.Path) -> Iterator[epath.Path]:
    """Lends a build a folder of its own beside the final place.

    Used as a `data_dir`, the folder is where the build's dataset comes to lie. At the
    end all that is left in it is deleted. If that is an error or an interrupt, a
    dataset that was to be replaced goes back before.

    Args:
      final: the final place, `<data_dir>/<dataset>/<config>/<version>`.
    """
    name = f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}_{final.name}"
    folder = final.parent / name
    folder.mkdir(parents=True)
    try:
        yield folder
    except BaseException:
        _put_back_from(folder, final)
        _delete(folder)
        raise
    _delete(folder)


def put_in_place(folder: epath.Path, final: epath.Path, *, replace: bool) -> bool:
    """Moves a build's dataset, which is whole and synced, into its final place.

    Args:
      folder: of the build.
      final: the final place.
      replace: whether to do so if something is there. A link is replaced as a link;
        what it points to stays.

    Returns:
      Whether it did. If not, something is there.

    Raises:
      OSError: if renaming fails for another reason.
    """
    new = _new_dataset(folder, final)
    for number in itertools.count():
        if _renamed(new, final):
            break
        if not replace:
            return False
        # Another build may have been quicker: then that one's dataset is replaced next.
        with contextlib.suppress(FileNotFoundError):
            final.rename(folder / f"{_REPLACED_PREFIX}{number}")
    with _logged_if_it_fails(f"{final} is in place, but not synced"):
        sync_names(final.parent)
    return True


def put_back(final: epath.Path) -> None:
    """Puts back the dataset that a build was to replace when it was killed, if any."""
    for folder in folders_of_builds(final):
        _put_back_from(folder, final)


def folders_of_builds(final: epath.Path) -> list[epath.Path]:
    """Returns the folders of builds that still run, or were killed.

    They may be gone by the time that somebody looks into them.
    """
    if not final.parent.exists():
        return []
    return sorted(
        folder
        for folder in final.parent.iterdir()
        if folder.name.startswith(INCOMPLETE_PREFIX)
        and folder.name.endswith(f"_{final.name}")
    )


def _new_dataset(folder: epath.Path, final: epath.Path) -> epath.Path:
    """Returns where TFDS puts a dataset whose `data_dir` is the build's folder."""
    return folder.joinpath(*final.parts[-3:])


def _put_back_from(folder: epath.Path, final: epath.Path) -> None:
    if not _new_dataset(folder, final).exists():
        return
    replaced = [
        path for path in _listed(folder) if path.name.startswith(_REPLACED_PREFIX)
    ]
    if not replaced:
        return
    # The one that was in the final place last.
    last = max(replaced, key=lambda path: int(path.name[len(_REPLACED_PREFIX) :]))
    # What is in the final place by now stays, and another build may have been quicker.
    with contextlib.suppress(FileNotFoundError):
        if _renamed(last, final):
            sync_names(final.parent)
            logging.warning(
                "A build that was to replace %s ended before it did: what was there is "
                "back",
                final,
            )


def _listed(folder: epath.Path) -> list[epath.Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, PermissionError):  # It may be another user's.
        return []


def _renamed(source: epath.Path, target: epath.Path) -> bool:
    """Renames `source`; returns False if something stands at `target`."""
    try:
        source.rename(target)
    except (FileExistsError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _delete(folder: epath.Path) -> None:
    with (
        _logged_if_it_fails(f"{folder} can be deleted, but is still there"),
        contextlib.suppress(FileNotFoundError),  # At a store, if nothing was put there.
    ):
        folder.rmtree()


@contextlib.contextmanager
def _logged_if_it_fails(outcome: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logging.warning("%s (%s)", outcome, error)
