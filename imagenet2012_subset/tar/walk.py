"""Walks tars from header to header, without reading the data of members."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from imagenet2012_subset.errors import SEE_DAMAGE, ArchiveError
from imagenet2012_subset.storage.files import Files, Range, read_in_order
from imagenet2012_subset.storage.in_step import OnProgress, Walk, Walks
from imagenet2012_subset.tar.headers import (
    BLOCK,
    ZERO_BLOCK,
    CutTarError,
    DamagedTarError,
    Tar,
    has_checksum,
    parse_plain,
    read_member,
)

# The first part of a tar shows whether it contains tars, and the distance between its
# headers. If it does not contain tars, the rest is walked in pieces.
_BEGINNING_BYTES = 8 << 20
_MEMBERS_A_PIECE = 256

# Most images are shorter than a stretch, and few are longer than the whole search.
_STRETCH = 64 << 10
_SEARCH_BYTES = 1 << 20


class Members(NamedTuple):
    """The regular files of a tar, in its order, as columns.

    Attributes:
      names: with folders, as bytes.
      offsets: of the data in the file, in bytes.
      sizes: of the data, in bytes.
      header_crcs: CRC-32 of the last header block, the 512 bytes before the data.
    """

    names: list[bytes]
    offsets: list[int]
    sizes: list[int]
    header_crcs: list[int]

    def add(self, name: bytes, offset: int, size: int, header_crc: int) -> None:
        """Adds a file."""
        self.names.append(name)
        self.offsets.append(offset)
        self.sizes.append(size)
        self.header_crcs.append(header_crc)


OnTar = Callable[[bytes, Tar], "TarWalk | None"]


class TarWalk:
    """The state of a walk through a tar.

    Attributes:
      tar: the tar.
      start: where its first header is in the file, in bytes.
      position: where its next header is.
      until: ends with the first member that reaches this byte, or with the tar.
      members: the regular files it has passed, except for tars that are walked.
      num_links: how many symbolic and hard links it has passed.
      zeros_at: where the block of zeros is that ends the tar; None before it is found.
      pax_globals: the fields of global pax headers before its position.
      is_guess: whether the start may not be a header.
      error: why a walk from a guessed start cannot continue. Counts only if `start` is
        a header.
    """

    def __init__(
        self,
        files: Files,
        tar: Tar,
        start: int | None = None,
        until: int | None = None,
        pax_globals: dict[str, str] | None = None,
        *,
        is_guess: bool = False,
    ):
        """Prepares a walk; by default through the whole tar."""
        self.tar = tar
        self.start = self.position = tar.start if start is None else start
        self.until = tar.end if until is None else until
        self.members = Members([], [], [], [])
        self.num_links = 0
        self.zeros_at: int | None = None
        self.pax_globals = dict(pax_globals or {})
        self.is_guess = is_guess
        self.error: ArchiveError | None = None
        self._files = files

    def steps(self, walks: Walks, on_tar: OnTar | None = None) -> Walk:
        """Continues the walk, in steps that `walks` runs.

        Args:
          walks: counts the bytes that were passed.
          on_tar: called with the name and the location of each member whose name ends
            in `.tar`. Returns its walk, or None to list it as a member.

        Raises:
          ArchiveError: if a header is invalid or a member reaches past the tar's end,
            unless the start is a guess. Then `error` is set.
        """
        tar = self.tar
        try:
            while self.position < self.until:
                position = self.position
                if position + BLOCK > tar.end:
                    raise self._cut_off("a header", position, BLOCK)
                header = yield tar.file, position, BLOCK
                # A global pax header may override the fields of a plain one.
                plain = None if self.pax_globals else parse_plain(header)
                name: bytes | None
                if plain:
                    name, size = plain
                    offset = position + BLOCK
                    self.position = offset + -(-size // BLOCK) * BLOCK
                elif header == ZERO_BLOCK:
                    self.zeros_at = position
                    self.position = tar.end
                    name, size = None, 0
                else:
                    member = read_member(self._files, tar, position, self.pax_globals)
                    self.num_links += member.is_link
                    self.position = member.next_offset
                    name, offset, size = member.name, member.offset, member.size
                    if name is not None:
                        header = self._files.read(tar.file, offset - BLOCK, BLOCK)
                passed = self.position - position
                if name is not None:
                    if offset + size > tar.end or size < 0:
                        raise self._cut_off(name.decode(errors="replace"), offset, size)
                    inner = None
                    if on_tar and name.endswith(b".tar"):
                        inner = on_tar(name, self._as_tar(name, offset, size))
                    if inner:
                        passed -= size
                        if walks.depth_first:
                            yield from inner.steps(walks)
                        else:
                            walks.add(inner.steps(walks))
                    else:
                        self.members.add(name, offset, size, zlib.crc32(header))
                walks.passed += passed
        except ArchiveError as error:
            if not self.is_guess:
                raise
            self.error = error

    def take_tars(self, is_tar: Callable[[bytes], bool]) -> list[Tar]:
        """Removes the tars from the members and returns them."""
        tars: list[Tar] = []
        rows = list(zip(*self.members, strict=True))
        self.members = Members([], [], [], [])
        for name, offset, size, header_crc in rows:
            if name.endswith(b".tar") and is_tar(name):
                tars.append(self._as_tar(name, offset, size))
            else:
                self.members.add(name, offset, size, header_crc)
        return tars

    def _as_tar(self, name: bytes, offset: int, size: int) -> Tar:
        text = name.decode(errors="replace")
        return Tar(text, self.tar.file, offset, offset + size)

    def _cut_off(self, what: str, offset: int, size: int) -> DamagedTarError:
        file = self.tar.file
        is_cut = size >= 0 and self.tar.end == self._files.size(file)
        return (CutTarError if is_cut else DamagedTarError)(
            self._files.path(file),
            f"is cut off or damaged: {what} takes {size:,} bytes from byte {offset:,}, "
            f"but {self.tar.name} ends at byte {self.tar.end:,}",
            SEE_DAMAGE,
        )


def walk_tars(
    files: Files, tars: Sequence[Tar], on_progress: OnProgress | None = None
) -> list[TarWalk]:
    """Walks several flat tars in step.

    Args:
      files: the files.
      tars: the tars.
      on_progress: called with the number of bytes passed since its last call.

    Raises:
      ArchiveError: if a header is invalid, or a member reaches past its tar's end. A
        tar may end without a block of zeros: missing members are noticed when they are
        looked up.
    """
    files = files.sequential()
    each = [TarWalk(files, tar) for tar in tars]
    _run(files, each, on_progress)
    return each


def _run(files: Files, each: Sequence[TarWalk], on_progress: OnProgress | None) -> None:
    walks = Walks(files, on_progress)
    for walk in reversed(each):
        walks.add(walk.steps(walks))
    walks.run()


def walk_nested(
    files: Files,
    tar: Tar,
    is_tar: Callable[[bytes], bool],
    on_progress: OnProgress | None = None,
) -> list[TarWalk]:
    """Walks a tar and the tars in it in step; walks a flat tar in pieces.

    Args:
      files: the files.
      tar: the tar.
      is_tar: returns whether to walk a member whose name ends in `.tar`.
      on_progress: as for `walk_tars`.

    Returns:
      The walks of the tar itself, each continuing the previous one, then those of the
      tars in it, in file order.

    Raises:
      ArchiveError: as `walk_tars`.
    """
    files = files.sequential()
    inner: list[TarWalk] = []

    def on_tar(name: bytes, member: Tar) -> TarWalk | None:
        if not is_tar(name):
            return None
        outer.until = tar.end
        inner.append(TarWalk(files, member))
        return inner[-1]

    walks = Walks(files, on_progress)
    outer = TarWalk(files, tar)
    if not walks.depth_first:
        outer.until = min(tar.start + _BEGINNING_BYTES, tar.end)
    walks.add(outer.steps(walks, on_tar))
    walks.run()
    rest = _walk_pieces(files, outer, on_progress)
    # Tars that only the rest contains: progress has counted them already.
    inner += walk_tars(files, [tar for walk in rest for tar in walk.take_tars(is_tar)])
    return [outer, *rest, *sorted(inner, key=lambda walk: walk.start)]


def _walk_pieces(
    files: Files, beginning: TarWalk, on_progress: OnProgress | None
) -> list[TarWalk]:
    """Walks the rest of a long flat tar from several places at once.

    The data of a member may look like a header. So the members that were found from a
    guessed start count only if the walk of everything before it ends exactly there.
    Otherwise, that walk continues.
    """
    tar = beginning.tar
    starts = _likely_starts(files, beginning)
    guesses = [
        TarWalk(files, tar, start, end, is_guess=True)
        for start, end in itertools.pairwise([*starts, tar.end])
    ]
    _run(files, guesses, on_progress)
    pieces = {guess.start: guess for guess in guesses}
    rest: list[TarWalk] = []
    last = beginning
    while last.position < tar.end:
        if last.pax_globals:
            pieces = {}  # Guessed walks did not know them.
        piece = pieces.pop(last.position, None)
        if piece is None:
            position = last.position
            until = min((start for start in pieces if start > position), default=None)
            piece = TarWalk(files, tar, position, until, last.pax_globals)
            _run(files, [piece], on_progress)
        elif piece.error:
            raise piece.error
        rest.append(piece)
        last = piece
    return rest


def _likely_starts(files: Files, beginning: TarWalk) -> list[int]:
    """Returns where the rest of a tar starts, and offsets that look like headers.

    Returns an empty list if nothing is left, or if global pax headers apply.
    """
    position, end = beginning.position, beginning.tar.end
    if position >= end or beginning.pax_globals:
        return []
    passed = position - beginning.start
    num_members = max(1, len(beginning.members.names))
    piece_bytes = max(BLOCK, passed * _MEMBERS_A_PIECE // num_members)
    num_pieces = min(files.in_step, (end - position) // piece_bytes)
    cuts = [
        position + (end - position) * number // num_pieces // BLOCK * BLOCK
        for number in range(1, num_pieces)
    ]
    return [position, *sorted(find_headers(files, beginning.tar, cuts))]


def find_headers(files: Files, tar: Tar, starts: Sequence[int]) -> set[int]:
    """Returns the next block after each start that looks like a header.

    It may not be one: the data of a member can contain tar headers too. A start without
    one in the next megabyte is skipped.

    Args:
      files: the files.
      tar: the tar.
      starts: where to start, in bytes; blocks are counted from here.
    """
    found = set()
    for ahead in range(0, _SEARCH_BYTES, _STRETCH):
        stretches = [
            Range(tar.file, start + ahead, min(_STRETCH, tar.end - start - ahead))
            for start in starts
            if start + ahead + BLOCK <= tar.end
        ]
        starts = []
        read = read_in_order(files, stretches)
        for (_, offset, _), data in zip(stretches, read, strict=True):
            blocks = range(0, len(data) - BLOCK + 1, BLOCK)
            headers = (at for at in blocks if has_checksum(data[at : at + BLOCK]))
            if (at := next(headers, None)) is not None:
                found.add(offset + at)
            else:
                starts.append(offset - ahead)
    return found
