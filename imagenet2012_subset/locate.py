"""From an archive to its images: what lies where, without reading an image."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re
from collections.abc import Callable, Iterator

from imagenet2012_subset.archive_file import ArchiveFile, LocalFile
from imagenet2012_subset.members import Members
from imagenet2012_subset.tar_walk import IN_FLIGHT, Tar, TarMember, walk

# Where the platform takes no advice on what to read ahead, threads keep several reads
# under way instead.
_PORTABLE_THREADS = 16

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
    found = _Found()
    tars = []
    for _, members in walk(file, [Tar("the archive", 0, file.size)], in_flight=1):
        tars = [_as_tar(member) for member in members if _is_tar(member)]
        found.add([member for member in members if not _is_tar(member)])
    on_progress(file.size - sum(tar.end - tar.start for tar in tars))

    found_in: dict[Tar, _Found] = {}
    for tar, members in _walk_all(file, tars, in_flight, on_progress):
        found_in[tar] = _Found()
        found_in[tar].add(members)
    parts = [found, *(found_in[tar] for tar in tars)]
    others = [name for part in parts for name in part.others]
    return Located(
        images=Members.concatenate([part.images for part in parts]),
        num_others=sum(part.num_others for part in parts),
        others=tuple(others[:_MAX_OTHERS]),
    )


class _Found:
    """The images among members; columns, since there are more than a million."""

    def __init__(self) -> None:
        self.images = Members.from_rows(())
        self.num_others = 0
        self.others: list[str] = []

    def add(self, members: list[TarMember]) -> None:
        rows = []
        for member in members:
            if match := _IMAGE_PATH.fullmatch(member.name):
                rows.append((match[1], *member[1:]))
            else:
                self.num_others += 1
                if len(self.others) < _MAX_OTHERS:
                    self.others.append(member.name.decode(errors="replace"))
        self.images = Members.from_rows(rows)


def _walk_all(
    file: ArchiveFile,
    tars: list[Tar],
    in_flight: int,
    on_progress: Callable[[int], None],
) -> Iterator[tuple[Tar, list[TarMember]]]:
    if isinstance(file, LocalFile):
        yield from walk(file, tars, in_flight=in_flight, on_progress=on_progress)
        return

    def walk_one(tar: Tar) -> tuple[Tar, list[TarMember]]:
        (walked,) = walk(file, [tar], in_flight=1, on_progress=on_progress)
        return walked

    with concurrent.futures.ThreadPoolExecutor(_PORTABLE_THREADS) as threads:
        yield from threads.map(walk_one, tars)


def _is_tar(member: TarMember) -> bool:
    # macOS puts a `._x.tar` of its own beside each `x.tar` that it packs.
    name = member.name.rpartition(b"/")[2]
    return name.endswith(b".tar") and not name.startswith(b"._")


def _as_tar(member: TarMember) -> Tar:
    name = member.name.decode(errors="replace")
    return Tar(name, member.offset, member.offset + member.size)
