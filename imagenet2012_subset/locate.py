"""From an archive to its images: what lies where, without reading an image."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.members import Members
from imagenet2012_subset.tar_part import Tar, TarMembers
from imagenet2012_subset.tar_walk import IN_FLIGHT, walk

_MAX_OTHERS = 5

_IMAGE_PATH = re.compile(
    rb"(?:.*/)?((?:n\d{8}_\d{1,10}|ILSVRC2012_(?:val|test)_\d{8})\.JPEG)", re.DOTALL
)


@dataclasses.dataclass(frozen=True)
class Located:
    """What an archive holds.

    Attributes:
      images: all members with a name that ImageNet gives to images, in archive order.
      num_others: how many other files there are; the tars looked into do not count.
      others: the first few of these, names with folders, to tell the user.
    """

    images: Members
    num_others: int
    others: tuple[str, ...]


def locate(
    file: ArchiveFile,
    *,
    in_flight: int = IN_FLIGHT,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Located:
    """Finds every image in an archive, and in the tars that are its members.

    Folders do not matter, so an archive that was made again from extracted images is
    as good as the original; nor do files that are no images.

    Args:
      file: the training or the validation archive.
      in_flight: how many headers to ask for ahead of reading them.
      on_progress: called with the number of archive bytes passed since the last call,
        `file.size` in all.

    Raises:
      ArchiveError: if the archive is cut off or a header in it is invalid.
    """
    whole = Tar("the archive", 0, file.size)
    ((_, members),) = walk(
        file, [whole], in_flight=in_flight, on_progress=lambda _: on_progress(0)
    )
    are_tars = list(map(_is_tar, members.names))
    inner = members.take([i for i, is_tar in enumerate(are_tars) if is_tar])
    tars = [
        Tar(name.decode(errors="replace"), offset, offset + size)
        for name, offset, size, _ in zip(*inner, strict=True)
    ]
    direct = members.take([i for i, is_tar in enumerate(are_tars) if not is_tar])
    on_progress(file.size - sum(tar.end - tar.start for tar in tars))

    found_in = {
        tar: _sort_out(members)
        for tar, members in walk(
            file, tars, in_flight=in_flight, on_progress=on_progress
        )
    }
    parts = [_sort_out(direct), *(found_in[tar] for tar in tars)]
    others = [name for part in parts for name in part.others]
    return Located(
        images=Members.concatenate([part.images for part in parts]),
        num_others=sum(part.num_others for part in parts),
        others=tuple(others[:_MAX_OTHERS]),
    )


def _sort_out(members: TarMembers) -> Located:
    """Tells images from other files; in columns, as there are more than a million."""
    paths = list(map(_IMAGE_PATH.fullmatch, members.names))
    others = [name for name, path in zip(members.names, paths, strict=True) if not path]
    if others:
        members = members.take([i for i, path in enumerate(paths) if path])
    images = members._replace(names=[path[1] for path in paths if path])
    return Located(
        images=Members.from_columns(*images),
        num_others=len(others),
        others=tuple(name.decode(errors="replace") for name in others[:_MAX_OTHERS]),
    )


def _is_tar(name: bytes) -> bool:
    # macOS puts a `._x.tar` of its own beside each `x.tar` that it packs.
    name = name.rpartition(b"/")[2]
    return name.endswith(b".tar") and not name.startswith(b"._")
