"""Walks a tar, and each tar in it as soon as the header before it is passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.tar.flat import BEGINNING_BYTES, walk_beginning, walk_flat
from imagenet2012_subset.tar.members import Tar, TarMembers
from imagenet2012_subset.tar.piece import Piece
from imagenet2012_subset.tar.walk import no_progress, walk


def walk_nested(
    file: File,
    tar: Tar,
    is_tar: Callable[[bytes], bool],
    *,
    in_flight: int | None = None,
    beginning_bytes: int = BEGINNING_BYTES,
    on_progress: Callable[[int], None] = no_progress,
) -> list[TarMembers]:
    """Returns the regular files of a tar, and of each tar in it, in their order.

    Args:
      file: what holds the tar.
      tar: where in it.
      is_tar: tells by a member's name whether it is a tar.
      in_flight: how many headers to ask for ahead; by default what serves the file
        best.
      beginning_bytes: how much to walk before deciding how to go on.
      on_progress: called with the number of bytes passed since the last call; below
        zero where some have to be passed again; the tar's length in all.

    Returns:
      First the members that are no tars, then those of each tar.

    Raises:
      ArchiveError: as `walk_flat`, of the tar and of each in it.
    """
    reported = 0

    def note(num_bytes: int) -> None:
        nonlocal reported
        reported += num_bytes
        on_progress(num_bytes)

    beginning = walk_beginning(file, tar, beginning_bytes)
    walked: dict[Tar, TarMembers] = {}
    if any(map(is_tar, beginning.members.names)):
        walked = _walk_with_inner(file, beginning, is_tar, in_flight, note)
        members = walked.pop(tar)
    else:
        members = walk_flat(file, beginning, in_flight=in_flight, on_progress=note)
    are_tars = list(map(is_tar, members.names))
    inner = [_member_as_tar(members, i) for i, inside in enumerate(are_tars) if inside]
    left = [one for one in inner if one not in walked]
    note(tar.end - tar.start - reported - sum(one.end - one.start for one in left))
    walked |= walk_each(file, left, in_flight=in_flight, on_progress=note)
    others = members.take([i for i, inside in enumerate(are_tars) if not inside])
    return [others, *(walked[one] for one in inner)]


def walk_each(
    file: File,
    tars: Sequence[Tar],
    *,
    in_flight: int | None = None,
    on_progress: Callable[[int], None] = no_progress,
) -> dict[Tar, TarMembers]:
    """Returns the regular files of tars of which it is known where they lie in a file.

    Raises:
      ArchiveError: as `walk_flat`, of each.
    """
    pieces = [Piece(file, tar, tar.start, tar.end) for tar in tars]
    most = min(in_flight or file.small_in_flight, max(1, len(pieces)))
    return _members_of(walk(file, pieces, in_flight=most, on_progress=on_progress))


def _walk_with_inner(
    file: File,
    outer: Piece,
    is_tar: Callable[[bytes], bool],
    in_flight: int | None,
    on_progress: Callable[[int], None],
) -> dict[Tar, TarMembers]:
    """Walks a tar from where its piece has come, and the tars in it beside it."""
    outer_passed = 0

    def note_inner(num_bytes: int) -> None:
        # What the outer one passes in one step, the inner ones are yet to pass.
        nonlocal outer_passed
        on_progress(num_bytes - (outer.passed - outer_passed))
        outer_passed = outer.passed

    outer.go_on()
    pieces = _Found(file, outer, is_tar)
    return _members_of(walk(file, pieces, in_flight=in_flight, on_progress=note_inner))


class _Found:
    """A piece of an outer tar, then one for each tar that its walk has passed.

    It may have more after it had none, when that walk has come further.
    """

    def __init__(self, file: File, outer: Piece, is_tar: Callable[[bytes], bool]):
        self._file = file
        self._outer = outer
        self._is_tar = is_tar
        self._outer_is_due = True
        self._num_seen = 0

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        if self._outer_is_due:
            self._outer_is_due = False
            return self._outer
        members = self._outer.members
        for i in range(self._num_seen, len(members.names)):
            self._num_seen = i + 1
            if self._is_tar(members.names[i]):
                tar = _member_as_tar(members, i)
                return Piece(self._file, tar, tar.start, tar.end)
        raise StopIteration


def _member_as_tar(members: TarMembers, i: int) -> Tar:
    start = members.offsets[i]
    name = members.names[i].decode(errors="replace")
    return Tar(name, start, start + members.sizes[i])


def _members_of(walking: Iterator[Piece]) -> dict[Tar, TarMembers]:
    members = {}
    for piece in walking:
        if piece.error:
            raise piece.error
        members[piece.tar] = piece.members
    return members
