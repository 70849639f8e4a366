"""From an image to a small one."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageOps

SIDE = 96
"""Width and height of a thumbnail in pixels."""

MOST_BYTES = 1_700
"""What a thumbnail may take, if it can be had at all; a photo takes some 1,200."""

_QUALITIES = (40, 25, 10, 0)


class Thumbnail(NamedTuple):
    """A small picture of an image, and what is known of the image itself.

    Attributes:
      file_name: the image's name in ImageNet.
      width: the image's, in pixels.
      height: the image's, in pixels.
      num_bytes: of the image as stored.
      webp: the middle of the image, `SIDE` by `SIDE` pixels.
    """

    file_name: str
    width: int
    height: int
    num_bytes: int
    webp: bytes


def make_thumbnail(file_name: str, data: bytes) -> Thumbnail:
    """Returns the thumbnail of an encoded image.

    Raises:
      OSError: if Pillow cannot decode it.
    """
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        # A JPEG's decoder gives a half, a quarter or an eighth for less work.
        image.draft("RGB", (SIDE, SIDE))
        small = ImageOps.fit(image.convert("RGB"), (SIDE, SIDE))
    return Thumbnail(file_name, width, height, len(data), _encode(small))


def _encode(picture: Image.Image) -> bytes:
    for quality in _QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=quality, method=6)
        if stream.tell() <= MOST_BYTES:
            break
    return stream.getvalue()
