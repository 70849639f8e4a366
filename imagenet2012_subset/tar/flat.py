"""Walks one long tar from several starts, some of which may turn out to be none."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.tar.headers import BLOCK, are_sealed
from imagenet2012_subset.tar.members import Tar, TarMembers
from imagenet2012_subset.tar.piece import Piece
from imagenet2012_subset.tar.walk import no_progress, walk

# So much of a tar tells how far apart its headers are, and whether it has tars in it.
BEGINNING_BYTES = 8 << 20

# To find where a piece begins takes as long as to walk a few dozen members.
MEMBERS_A_PIECE = 256

# Most images are shorter than a stretch, and few are longer than the whole search.
_STRETCH = 64 << 10
_SEARCH_BYTES = 1 << 20


def walk_flat(
    file: File,
    beginning: Piece,
    *,
    in_flight: int | None = None,
    members_a_piece: int = MEMBERS_A_PIECE,
    on_progress: Callable[[int], None] = no_progress,
) -> TarMembers:
    """Returns the regular files of a tar, in its order.

    A place that looks like a header may as well be some member's data. So what was
    found from there counts only once the walk of all that lies before has come to stand
    exactly there; where it has not, it goes on by itself.

    Args:
      file: what holds the tar.
      beginning: of the tar, as `walk_beginning` gives it.
      in_flight: how many headers to ask for ahead; by default what serves the file
        best.
      members_a_piece: how many members a piece should have at the least.
      on_progress: called with the number of bytes passed since the last call. What is
        passed twice counts twice.

    Raises:
      ArchiveError: if a header is invalid, or a member reaches past the tar's end.
        A tar may end without end-of-archive blocks: what is missing then is found out
        by what was to be in it.
    """
    in_flight = in_flight or file.small_in_flight
    tar, piece = beginning.tar, beginning
    starts = _likely_starts(file, beginning, in_flight, members_a_piece)
    guessed = [
        Piece(file, tar, start, until)
        for start, until in itertools.pairwise([*starts, tar.end])
    ]
    pieces = {
        guess.start: guess
        for guess in walk(
            file, guessed, in_flight=max(1, len(guessed)), on_progress=on_progress
        )
    }
    # Of a tar of a few large members, such as tars, there is nothing to wait for.
    has_many = bool(guessed or piece.pax_globals)
    report = on_progress if has_many else no_progress
    found = TarMembers.none()
    while True:
        if piece.error:
            raise piece.error
        found.extend(piece.members)
        at = piece.position
        if at >= tar.end:
            return found
        if piece.pax_globals:
            # What they say of the members after them, no guess has known.
            pieces = {}
        if at in pieces:
            piece = pieces.pop(at)
        else:
            until = min((start for start in pieces if start > at), default=tar.end)
            rest = Piece(file, tar, at, until, piece.pax_globals)
            piece = _walk_one(file, rest, report)


def walk_beginning(file: File, tar: Tar, num_bytes: int = BEGINNING_BYTES) -> Piece:
    """Returns a piece that has come past a tar's first bytes, or to an error."""
    return _walk_one(file, Piece(file, tar, tar.start, tar.start + num_bytes))


def _walk_one(
    file: File, piece: Piece, on_progress: Callable[[int], None] = no_progress
) -> Piece:
    for _ in walk(file, [piece], in_flight=1, on_progress=on_progress):
        pass
    return piece


def _likely_starts(
    file: File, beginning: Piece, most: int, members_each: int
) -> list[int]:
    """Returns places behind the beginning that look like headers, in order.

    None where what lies ahead is too short to be cut, as far as the beginning tells.
    """
    if beginning.error or beginning.pax_globals:
        return []
    passed = beginning.position - beginning.start
    length_each = max(1, passed * members_each // max(1, len(beginning.members.names)))
    ahead = beginning.tar.end - beginning.position
    num_pieces = min(most, ahead // length_each)
    cuts = [
        beginning.position + ahead * number // num_pieces // BLOCK * BLOCK
        for number in range(1, num_pieces)
    ]
    starts = sorted(find_headers(file, cuts, beginning.tar.end))
    return [beginning.position, *starts] if starts else []


def find_headers(file: File, starts: Sequence[int], end: int) -> set[int]:
    """Returns where the next blocks that look like headers lie, of whatever kind.

    They need not be any: a member's data may hold tar headers as well. Behind a start
    that has none within a megabyte, there is none to return.

    Args:
      file: where to look.
      starts: where to begin, in bytes; blocks are counted from here.
      end: where to stop at the latest.
    """
    found = set()
    for ahead in range(0, _SEARCH_BYTES, _STRETCH):
        stretches = [
            Extent(start + ahead, min(_STRETCH, end - start - ahead) // BLOCK * BLOCK)
            for start in starts
            if start + ahead + BLOCK <= end
        ]
        if not stretches:
            break
        nowhere = []
        for stretch, data in zip(
            stretches, read_in_order(file, stretches), strict=True
        ):
            sealed = are_sealed(np.frombuffer(data, np.uint8).reshape(-1, BLOCK))
            if sealed.any():
                found.add(stretch.offset + BLOCK * int(sealed.argmax()))
            else:
                nowhere.append(stretch.offset - ahead)
        starts = nowhere
    return found
