"""Images of an archive as a sequence: read by index, or one after the other."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy.typing as npt

from imagenet2012_subset import jpeg, synsets
from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.members import Member, Members, decoded
from imagenet2012_subset.read_ahead import read_in_order
from imagenet2012_subset.tar_headers import BLOCK


class Image(NamedTuple):
    """One labelled image.

    Attributes:
      name: its file name, such as `n01440764_18.JPEG`.
      wnid: its class, such as `n01440764`.
      data: the RGB JPEG, as the dataset stores it.
    """

    name: str
    wnid: str
    data: bytes


class Images:
    """Images of one archive, as a random-access sequence that reads on demand."""

    def __init__(self, file: ArchiveFile, members: Members):
        self.file = file
        self.members = members

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<{len(self):,} images in {self.file.path}>"

    def __getitem__(self, index: int) -> Image:
        """Reads one image.

        Raises:
          ArchiveError: if what lies there is not the image that was located.
        """
        member = self.members[index]
        return self._image(member, memoryview(self.file.read(*_place(member))))

    def __iter__(self) -> Iterator[Image]:
        """Reads all images in turn, with the next ones asked for ahead."""
        members = list(self.members)
        places = [_place(member) for member in members]
        for member, block in zip(
            members, read_in_order(self.file, places), strict=True
        ):
            yield self._image(member, block)

    def take(self, indices: npt.ArrayLike) -> Images:
        """Returns the images at `indices`, in that order."""
        return Images(self.file, self.members.take(indices))

    def stored_sizes(self) -> list[int]:
        """Returns the length in bytes of what the dataset stores of each image.

        That of the archive, without a read, but for the two dozen images that are
        converted.
        """
        sizes: list[int] = self.members.sizes.tolist()
        for index, name in enumerate(decoded(self.members.names)):
            if jpeg.is_converted(name):
                sizes[index] = len(self[index].data)
        return sizes

    def _image(self, member: Member, block: memoryview) -> Image:
        """Returns the image that lies in a block, after its header."""
        # The header is read again along with its image: a kept index that does not
        # fit, or an archive that changes meanwhile, is noticed at no cost.
        if zlib.crc32(block[:BLOCK]) != member.header_crc:
            raise ArchiveError(
                self.file.path,
                f"no longer has {member.name} at byte {member.offset:,}",
                "The archive changed since its headers were read: see that nothing "
                "writes to it, touch it so that they are read again, and build again",
            )
        data = bytes(block[BLOCK:])
        if problem := jpeg.defect(member.name, data):
            raise ArchiveError(
                self.file.path,
                f"{member.name}, {member.size:,} bytes at byte {member.offset:,}, "
                f"{problem}",
                "The archive is damaged: download it again and compare its sha256 "
                "(python -m imagenet2012_subset check --sha256)",
            )
        stored = jpeg.to_rgb_jpeg(member.name, data)
        return Image(member.name, synsets.wnid(member.name), stored)


def _place(member: Member) -> tuple[int, int]:
    """Returns the offset and the length of an image with its header, in bytes."""
    return member.offset - BLOCK, BLOCK + member.size
