"""Reads many images of a source, and decodes images strictly."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from etils import epath

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import Entries, Source

_T = TypeVar("_T")

BATCH = 256
"""How many images to decode at a time: about 30 MB."""

# A source that cannot be read at random copies this many images (about 0.5 GB).
_STAGED = 4096

# libjpeg prints what it repairs on standard error, and neither TensorFlow nor Pillow
# reports it in any other way.
_WARNING = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG file|Invalid SOS parameters"
    rb"|Inconsistent progression sequence|JPEG datastream contains no image"
    rb"|Input file read error)[^\r\n]*\n?"
)
# With a Huffman table whose shortest code does not end a block, zeros are blocks in
# which every coefficient is the same. A whole block of them takes about 24 bytes.
_ZEROS = bytes(32)
_BASELINE = (0xC0, 0xC1)
_HUFFMAN_TABLES = 0xC4
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"


def staged_parts(source: Source, entries: Entries) -> Iterator[Images]:
    """Yields all images in order, some at a time, ready to be read.

    Each part can be read until the next one is requested.
    """
    for start in range(0, len(entries), _STAGED):
        with tempfile.TemporaryDirectory(prefix="imagenet2012_subset.") as directory:
            part = entries.take(range(start, min(start + _STAGED, len(entries))))
            yield Images(source, part).staged(epath.Path(directory))


def batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Yields lists of up to `BATCH` items."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


class StrictDecoder:
    """Decodes images in several threads, and treats libjpeg's warnings as errors.

    While images are decoded, standard error is captured. What libjpeg did not print is
    passed on.
    """

    def __init__(self, *, stores_converted: bool) -> None:
        """Starts the threads.

        Args:
          stores_converted: as for `Source`; true for a dataset.
        """
        self._stores_converted = stores_converted
        self._pool = concurrent.futures.ThreadPoolExecutor()

    def __enter__(self) -> StrictDecoder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown()

    def defects(self, images: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
        """Yields the name of each image that is damaged, and what is wrong with it.

        Args:
          images: names and bytes, few enough to be decoded at once.
        """
        if not images:
            return
        with _captured_warnings() as warnings:
            problems = list(self._pool.map(self._problem, images))
        for image, found in zip(images, problems, strict=True):
            problem = found
            if warnings and not problem:
                with _captured_warnings() as its_own:
                    self._problem(image)
                problem = its_own[0] if its_own else None
            name, data = image
            if problem := problem or _zeros(data):
                yield name, problem

    def _problem(self, image: tuple[str, bytes]) -> str | None:
        """Decodes an image; returns what is wrong with it, except for a warning."""
        import tensorflow as tf

        name, data = image
        converted = self._stores_converted
        if problem := jpeg.defect(name, data, stores_converted=converted):
            return problem
        try:
            if data.startswith(b"\xff\xd8"):
                # Reads all of the data, but computes an eighth of the rows and columns.
                tf.io.decode_jpeg(data, channels=3, ratio=8)
            else:
                tf.io.decode_image(data, channels=3, expand_animations=False)
        except tf.errors.InvalidArgumentError as error:
            return f"does not decode ({first_line(error).rstrip('.')})"
        return None


@contextlib.contextmanager
def _captured_warnings() -> Iterator[list[str]]:
    """Gives a list that contains libjpeg's warnings after the context."""
    warnings: list[str] = []
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        try:
            os.dup2(captured.fileno(), 2)
            try:
                yield warnings
            finally:
                os.dup2(stderr, 2)
            captured.seek(0)
            printed = captured.read()
            warnings += [line.decode().strip() for line in _WARNING.findall(printed)]
            with contextlib.suppress(OSError):
                os.write(stderr, _WARNING.sub(b"", printed))
        finally:
            os.close(stderr)


def _zeros(data: bytes) -> str | None:
    """Returns where the scan of a baseline JPEG contains zeros that cannot be pixels.

    Decoders find most damage because the data then ends too early or too late. After a
    few hundred zeros, one time in ten neither happens.
    """
    if _ZEROS not in data:
        return None
    first_symbols: dict[int, int] = {}  # Of the tables of AC coefficients.
    num_components = 0
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : end]
        if marker in _BASELINE:
            num_components = segment[5]
        elif marker == _HUFFMAN_TABLES:
            while len(segment) > 17:
                if segment[0] >> 4:
                    first_symbols[segment[0] & 15] = segment[17]
                segment = segment[17 + sum(segment[1:17]) :]
        elif marker == _START_OF_SCAN:
            # One scan with all components contains no long run of ends of blocks,
            # unless that is the first symbol of every table.
            tables = [segment[2 + 2 * i] & 15 for i in range(segment[0])]
            at = data.find(_ZEROS, end, data.rfind(_END_OF_IMAGE))
            if (
                at >= 0
                and segment[0] == num_components
                and any(first_symbols.get(table) for table in tables)
            ):
                return f"contains zeros instead of pixels at byte {at:,}"
            return None
        position = end
    return None
