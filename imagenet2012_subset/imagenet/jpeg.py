"""Checks the bytes of an image, and converts them to what the dataset stores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.file_types import START_BYTES, FileType, file_type

# The training images that are not RGB JPEGs. TFDS's ImageNet stores them as RGB JPEGs
# since version 3.0.0.
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
END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})

# The JPEG of each image that was converted, or why it cannot be converted. A build
# needs each one while planning and again while writing, and ImageNet has 23 of them.
_converted: dict[tuple[str, bytes], bytes | str] = {}


class ConversionError(ValueError):
    """TFDS cannot convert an image to an RGB JPEG."""


def is_converted(name: str) -> bool:
    """Returns whether the dataset stores an image converted to an RGB JPEG."""
    return name in CMYK_IMAGES or name in PNG_IMAGES


def to_rgb_jpeg(name: str, data: bytes) -> bytes:
    """Returns the RGB JPEG that the dataset stores for the image called `name`.

    Raises:
      ConversionError: if the image needs conversion, but cannot be converted.
      RuntimeError: as `convert`.
    """
    if not is_converted(name):
        return data
    if (name, data) not in _converted:
        convert([(name, data)])
    result = _converted[name, data]
    if isinstance(result, str):
        raise ConversionError(result)
    return result


def convert(images: Sequence[tuple[str, bytes]]) -> None:
    """Converts images as TFDS does, so that `to_rgb_jpeg` has their JPEGs at hand.

    TFDS converts with TensorFlow. It runs in a child process here, because a process
    that has imported TensorFlow can crash when PyTorch is imported after it. All images
    share one child process, as it takes seconds to start.

    Args:
      images: the name and bytes of each image; `is_converted` is true for all of them.

    Raises:
      RuntimeError: if the child process fails.
    """
    code = f"from {__name__} import _convert_in_child; _convert_in_child()"
    child = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(list(images)),
        capture_output=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # TensorFlow would reserve the memory of every visible GPU.
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        # An interrupt from the terminal goes to this process, which then kills it.
        start_new_session=True,
    )
    if child.returncode:
        printed = child.stderr.decode(errors="replace").strip()
        raise RuntimeError(
            f"The process that converts images ended with status {child.returncode}. "
            f"It printed: {printed[-2000:]}"
        )
    _converted.update(zip(images, pickle.loads(child.stdout), strict=True))


def _convert_in_child() -> None:
    """Reads pickled images from standard input, and writes the pickled results."""
    with os.fdopen(os.dup(1), "wb") as stdout:
        os.dup2(2, 1)  # Keep the output of libraries out of the results.
        pickle.dump(_results(pickle.load(sys.stdin.buffer)), stdout)


def _results(images: Sequence[tuple[str, bytes]]) -> list[bytes | str]:
    """Converts images with TensorFlow, in this process."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    results: list[bytes | str] = []
    for name, data in images:
        utils = tfds.core.utils
        function = utils.png_to_jpeg if name in PNG_IMAGES else utils.jpeg_cmyk_to_rgb
        try:
            results.append(bytes(function(data)))
        except tf.errors.InvalidArgumentError as error:
            results.append(first_line(error).rstrip("."))
    return results


def defect(name: str, data: bytes, *, stores_converted: bool = False) -> str | None:
    """Returns what is wrong with an image's bytes; None if they are valid.

    Checks the structure of a JPEG, which takes microseconds: segments up to the first
    scan, and an end marker after it. A JPEG without one is cut off, even if a decoder
    can fill the gap. Images that need conversion are converted.

    Args:
      name: the image's name in ImageNet. One of them is a PNG.
      data: its bytes.
      stores_converted: whether the CMYK images and the PNG are RGB JPEGs already.
    """
    if not data:
        return "is empty"
    if not data.strip(b"\0"):
        return "contains only zeros"
    if problem := wrong_format(name, data, stores_converted=stores_converted):
        return problem
    if is_converted(name) and not stores_converted:
        try:
            to_rgb_jpeg(name, data)
        except ConversionError as error:
            return f"cannot be converted to an RGB JPEG ({error})"
    if not data.startswith(START_OF_IMAGE):
        return None
    # TFDS also converts truncated JPEGs.
    for marker, _, end in segments(data):
        if marker == START_OF_SCAN:
            # Pixel data never contains this marker: every FF in it is followed by 00.
            if data.rfind(END_OF_IMAGE) < end:
                return "is cut off: no end-of-image marker follows its pixels"
            return None
    return "is a JPEG without image data"


def wrong_format(
    name: str, data: bytes, *, stores_converted: bool = False
) -> str | None:
    """Returns an image's actual format; None if it is the original's format.

    Args:
      name: the image's name in ImageNet.
      data: its first bytes, or all.
      stores_converted: as for `defect`.
    """
    if data.startswith(START_OF_IMAGE):
        return None
    found = file_type(data[:START_BYTES])
    if found is FileType.PNG and name in PNG_IMAGES and not stores_converted:
        return None
    first_bytes = data[:4].hex(" ").upper()
    what = found.value if found else f"of an unknown format ({first_bytes} ...)"
    return f"is {what}, not a JPEG"


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the marker, start and end of a JPEG's segments, up to the first scan.

    Pixels follow the end of the last one, whose marker is `START_OF_SCAN`.
    """
    position = 2
    # Like libjpeg, skip stray bytes between two segments.
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 3:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == 0 or marker in _WITHOUT_LENGTH:
            position += 2
        else:
            start = position + 4
            position += 2 + int.from_bytes(data[position + 2 : start], "big")
            yield marker, start, position
            if marker == START_OF_SCAN:
                return
