"""From a tar to its images: what lies where, without reading an image."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.imagenet.names import belies, parse_paths
from imagenet2012_subset.sources.entries import Entries
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.tar.members import Tar, TarMembers
from imagenet2012_subset.tar.nested import walk_each, walk_nested
from imagenet2012_subset.tar.walk import no_progress

_MAX_OTHERS = 5

# The CRC-32 of a header and the name that goes with it, from the name and the header's.
seal = zlib.crc32


def index_tar(
    file: File,
    *,
    in_flight: int | None = None,
    on_progress: Callable[[int], None] = no_progress,
) -> Index:
    """Finds every image in a tar, and in the tars that are its members.

    Folders do not matter, so an archive that was made again from extracted images is
    as good as the original; nor do files that are no images.

    Args:
      file: the tar.
      in_flight: how many headers to ask for ahead of reading them; by default what
        serves the file best.
      on_progress: called with the number of bytes passed since the last call; below
        zero where some have to be passed again; `file.size` in all.

    Raises:
      ArchiveError: if the tar is cut off or a header in it is invalid.
    """
    whole = Tar("the archive", 0, file.size)
    parts = walk_nested(
        file, whole, _is_tar, in_flight=in_flight, on_progress=on_progress
    )
    return _joined([_sort_out(file, members) for members in parts])


def index_tars(
    file: File,
    tars: Sequence[Tar],
    *,
    on_progress: Callable[[int], None] = no_progress,
) -> Index:
    """Finds every image in tars of which it is known where they lie in a file.

    Raises:
      ArchiveError: as `index_tar`.
    """
    members = walk_each(file, tars, on_progress=on_progress)
    return _joined([_sort_out(file, members[tar]) for tar in tars])


def _joined(parts: Sequence[Index]) -> Index:
    others = [name for part in parts for name in part.others]
    return Index(
        entries=Entries.concatenate([part.entries for part in parts]),
        num_others=sum(part.num_others for part in parts),
        others=tuple(others[:_MAX_OTHERS]),
    )


def _sort_out(file: File, members: TarMembers) -> Index:
    """Tells images from other files; in columns, as there are more than a million."""
    images, appended = parse_paths(members.names)
    for image, wnid in appended:
        _check_appended(file, image.decode(), wnid.decode())
    others = [
        name for name, image in zip(members.names, images, strict=True) if not image
    ]
    if others:
        members = members.take([i for i, image in enumerate(images) if image])
    names = [image for image in images if image]
    return Index(
        entries=Entries.from_columns(
            names=names,
            files=[0] * len(names),
            offsets=members.offsets,
            sizes=members.sizes,
            seals=list(map(seal, names, members.header_crcs)),
        ),
        num_others=len(others),
        others=tuple(name.decode(errors="replace") for name in others[:_MAX_OTHERS]),
    )


def _check_appended(file: File, name: str, appended: str) -> None:
    if truth := belies(name, appended):
        raise ArchiveError(
            file.path,
            f"has {name} with {appended} appended to its name, but it is of {truth}",
            "Find out which image it is, or download the original",
        )


def _is_tar(name: bytes) -> bool:
    # macOS puts a `._x.tar` of its own beside each `x.tar` that it packs.
    name = name.rpartition(b"/")[2]
    return name.endswith(b".tar") and not name.startswith(b"._")
