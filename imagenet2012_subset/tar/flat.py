"""Walks one long tar from several starts, some of which may turn out to be none."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.tar.headers import BLOCK, are_sealed
from imagenet2012_subset.tar.members import Tar, TarMembers
from imagenet2012_subset.tar.piece import Piece
from imagenet2012_subset.tar.walk import no_progress, walk

# So much of a tar's beginning tells how far apart its headers are.
SAMPLE_BYTES = 8 << 20

# To find where a piece begins takes as long as to walk a few dozen members.
MEMBERS_A_PIECE = 256

# Most images are shorter than a stretch, and few are longer than the whole search.
_STRETCH = 64 << 10
_SEARCH_BYTES = 1 << 20


def walk_flat(
    file: File,
    tar: Tar,
    *,
    in_flight: int | None = None,
    sample_bytes: int = SAMPLE_BYTES,
    members_a_piece: int = MEMBERS_A_PIECE,
    on_progress: Callable[[int], None] = no_progress,
) -> TarMembers:
    """Returns the regular files of a tar, in its order.

    A place that looks like a header may as well be some member's data. So what was
    found from there counts only once the walk of all that lies before has come to stand
    exactly there; where it has not, it goes on by itself.

    Args:
      file: what holds the tar.
      tar: where in it.
      in_flight: how many headers to ask for ahead; by default what serves the file
        best.
      sample_bytes: how much to walk before deciding how many pieces to cut.
      members_a_piece: how many members a piece should have at the least.
      on_progress: called with the number of bytes passed since the last call. What is
        passed twice counts twice.

    Raises:
      ArchiveError: if a header is invalid, or a member reaches past the tar's end.
        A tar may end without end-of-archive blocks: what is missing then is found out
        by what was to be in it.
    """
    in_flight = in_flight or file.small_in_flight
    piece = _walk_one(file, Piece(file, tar, tar.start, tar.start + sample_bytes))
    starts = _likely_starts(file, piece, in_flight, members_a_piece)
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


def _walk_one(
    file: File, piece: Piece, on_progress: Callable[[int], None] = no_progress
) -> Piece:
    for _ in walk(file, [piece], in_flight=1, on_progress=on_progress):
        pass
    return piece


def _likely_starts(
    file: File, sample: Piece, most: int, members_each: int
) -> list[int]:
    """Returns places behind the sample that look like headers, in order.

    None where what lies ahead is too short to be cut, as far as the sample tells.
    """
    if sample.error or sample.pax_globals:
        return []
    passed = sample.position - sample.start
    length_each = max(1, passed * members_each // max(1, len(sample.members.names)))
    ahead = sample.tar.end - sample.position
    num_pieces = min(most, ahead // length_each)
    cuts = [
        sample.position + ahead * number // num_pieces // BLOCK * BLOCK
        for number in range(1, num_pieces)
    ]
    found = {find_header(file, cut, sample.tar.end) for cut in cuts}
    starts = sorted(start for start in found if start is not None)
    return [sample.position, *starts] if starts else []


def find_header(file: File, start: int, end: int) -> int | None:
    """Returns where the next block that looks like a header lies, of whatever kind.

    It need not be one: a member's data may hold tar headers as well. None if there is
    none within a megabyte.

    Args:
      file: where to look.
      start: where to begin, in bytes; blocks are counted from here.
      end: where to stop at the latest.
    """
    for offset in range(start, min(end, start + _SEARCH_BYTES), _STRETCH):
        num_blocks = min(_STRETCH, end - offset) // BLOCK
        stretch = file.read(offset, num_blocks * BLOCK)
        sealed = are_sealed(np.frombuffer(stretch, np.uint8).reshape(-1, BLOCK))
        if sealed.any():
            return offset + BLOCK * int(sealed.argmax())
    return None
