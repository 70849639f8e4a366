"""From a member's bytes to the JPEG that the dataset stores."""

from __future__ import annotations

import tensorflow_datasets as tfds

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.file_types import START_BYTES, FileType, file_type

# The training images that are not RGB JPEGs. Since its version 3.0.0 TFDS's ImageNet
# stores them as if they were.
CMYK_IMAGES = frozenset(
    f"{stem}.JPEG"
    for stem in (
        "n01739381_1309 n02077923_14822 n02447366_23489 n02492035_15739 "
        "n02747177_10752 n03018349_4028 n03062245_4620 n03347037_9675 "
        "n03467068_12171 n03529860_11437 n03544143_17228 n03633091_5218 "
        "n03710637_5125 n03961711_5286 n04033995_2932 n04258138_17003 "
        "n04264628_27969 n04336792_7448 n04371774_5854 n04596742_4225 "
        "n07583066_647 n13037406_4650"
    ).split()
)
PNG_IMAGES = frozenset({"n02105855_2933.JPEG"})

START_OF_IMAGE = b"\xff\xd8\xff"
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def is_converted(name: str) -> bool:
    """Returns whether the dataset stores other bytes than the archive has."""
    return name in CMYK_IMAGES or name in PNG_IMAGES


def to_rgb_jpeg(name: str, data: bytes) -> bytes:
    """Returns the RGB JPEG that the dataset stores for the image called `name`."""
    if name in CMYK_IMAGES:
        return bytes(tfds.core.utils.jpeg_cmyk_to_rgb(data))
    if name in PNG_IMAGES:
        return bytes(tfds.core.utils.png_to_jpeg(data))
    return data


def defect(name: str, data: bytes, *, stores_converted: bool = False) -> str | None:
    """Returns what is wrong with an image's bytes; None if they are an image.

    The structure decides, which costs microseconds: a JPEG has segments from its start
    to its first scan, and an end marker after that. A JPEG without an end marker is cut
    off, even if a decoder accepts it. Only a JPEG without such segments is decoded.

    Args:
      name: what ImageNet calls the image. One of them is a PNG.
      data: its bytes.
      stores_converted: whether the CMYK images and the PNG are RGB JPEGs already.
    """
    if not data:
        return "is empty"
    if not data.strip(b"\0"):
        return "contains only zeros"
    if problem := wrong_format(name, data, stores_converted=stores_converted):
        return problem
    # What is converted has to convert: its conversion's error would not name the image.
    if not stores_converted and is_converted(name):
        if error := _conversion_error(name, data):
            return error
        if not data.startswith(START_OF_IMAGE):
            return None
    if not (scan_start := _first_scan(data)):
        return _decoding_error(data)
    # In a scan FF stands for itself only before 00: this is no image data.
    if data.rfind(_END_OF_IMAGE) < scan_start:
        return "is cut off: no end-of-image marker follows its pixels"
    return None


def wrong_format(
    name: str, data: bytes, *, stores_converted: bool = False
) -> str | None:
    """Returns which format an image has if ImageNet's image has another one.

    Args:
      name: what ImageNet calls the image.
      data: its first bytes, or all.
      stores_converted: as for `defect`.
    """
    if data.startswith(START_OF_IMAGE):
        return None
    found = file_type(data[:START_BYTES])
    if found is FileType.PNG and name in PNG_IMAGES and not stores_converted:
        return None
    what = found.value if found else f"of an unknown format ({_hexadecimal(data)} ...)"
    return f"is {what}, not a JPEG"


def _hexadecimal(data: bytes) -> str:
    return data[:4].hex(" ").upper()


def _first_scan(data: bytes) -> int | None:
    """Returns where a JPEG's pixels start; None if no such structure leads there."""
    if not data.startswith(START_OF_IMAGE):
        return None
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            return position
    return None


def _decoding_error(data: bytes) -> str | None:
    import tensorflow as tf

    try:
        tf.io.decode_image(data, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        return f"does not decode as an image ({first_line(error).rstrip('.')})"
    return None


def _conversion_error(name: str, data: bytes) -> str | None:
    """TFDS takes any image with three channels, and fails at greyscale."""
    import tensorflow as tf

    if problem := _decoding_error(data):
        return problem
    try:
        to_rgb_jpeg(name, data)
    except tf.errors.InvalidArgumentError as error:
        return f"cannot be converted to an RGB JPEG ({first_line(error).rstrip('.')})"
    return None
