"""Reads many images of a source, and decodes images strictly."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import itertools
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from etils import epath

from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import DatasetError, counted, first_line
from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import Entries, Source, decoded

# A source that cannot be read at random copies this many images (about 0.5 GB).
_STAGED = 4096
# This many images are decoded at a time (about 30 MB).
_BATCH = 256

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


def staged_parts(source: Source, entries: Entries) -> Iterator[Images]:
    """Yields all images in order, some at a time, ready to be read.

    Each part can be read until the next one is requested.
    """
    for start in range(0, len(entries), _STAGED):
        with tempfile.TemporaryDirectory(prefix="imagenet2012_subset.") as directory:
            part = entries.take(range(start, min(start + _STAGED, len(entries))))
            yield Images(source, part).staged(epath.Path(directory))


def check_images(
    report: Report, source: Source, listed: Sequence[str] | None = None
) -> None:
    """Decodes the listed images of a source, by default all of them."""
    subject = source.path.name
    num_damaged = 0
    try:
        wanted = decoded(source.listing().names) if listed is None else listed
        entries = source.look_up(wanted)
        images = _stored_images(source, entries)
        converted = source.stores_converted
        for name, problem in strict_defects(images, stores_converted=converted):
            num_damaged += 1
            remedy = "Replace them with the images of the original archive"
            report.add_problem(subject, "damaged images", f"{name} {problem}", remedy)
    except DatasetError as error:
        message = f"{error.path} {error.problem}. {error.remedy}"
        report.add(False, subject, message, kind="unreadable")
        return
    if not num_damaged:
        message = f"{counted(len(entries), 'image')} decode without a warning"
        report.add(True, subject, message, decoded=len(entries))


def _stored_images(source: Source, entries: Entries) -> Iterator[tuple[str, bytes]]:
    """Yields names and bytes as a source stores them: a conversion repairs damage."""
    description = f"Decoding {source.path.name}"
    with progress_bar(total=len(entries), desc=description, leave=False) as bar:
        for part in staged_parts(source, entries):
            part_names = decoded(part.entries.names)
            images = source.read_images(part.entries)
            for name, image in zip(part_names, images, strict=True):
                yield name, image
                bar.update()


def strict_defects(
    images: Iterable[tuple[str, bytes]], *, stores_converted: bool
) -> Iterator[tuple[str, str]]:
    """Decodes images in several threads, and treats libjpeg's warnings as errors.

    While images are decoded, standard error is captured. Output of other
    libraries is passed on.

    Args:
      images: names and bytes.
      stores_converted: as for `Source`; true for a dataset.

    Yields:
      The name of each image that is damaged, and what is wrong with it.
    """
    decode = functools.partial(_decode, stores_converted)
    iterator = iter(images)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        while batch := list(itertools.islice(iterator, _BATCH)):
            with _captured_warnings() as warnings:
                problems = list(pool.map(decode, batch))
            for (name, data), found in zip(batch, problems, strict=True):
                problem = found
                if warnings and not problem:
                    # Finds out whether a warning was about this image.
                    with _captured_warnings() as its_own:
                        decode((name, data))
                    problem = its_own[0] if its_own else None
                if problem := problem or _zeros(data):
                    yield name, problem


def _decode(stores_converted: bool, image: tuple[str, bytes]) -> str | None:
    """Decodes an image; returns what is wrong with it, except for a warning."""
    import tensorflow as tf

    name, data = image
    if problem := jpeg.defect(name, data, stores_converted=stores_converted):
        return problem
    try:
        if data.startswith(jpeg.START_OF_IMAGE):
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
    """Returns where the pixels of a baseline JPEG are zeros that cannot be pixels.

    Decoders find most damage because the data then ends too early or too late. After a
    few hundred zeros, one time in ten neither happens.
    """
    if _ZEROS not in data:
        return None
    num_components = 0
    first_symbols = set()  # Of the tables of AC coefficients. 0 ends a block.
    for marker, start, end in jpeg.segments(data):
        segment = data[start:end]
        if marker in _BASELINE:
            num_components = segment[5]
        elif marker == _HUFFMAN_TABLES:
            while len(segment) > 17:
                if segment[0] >> 4:
                    first_symbols.add(segment[17])
                segment = segment[17 + sum(segment[1:17]) :]
        elif marker == jpeg.START_OF_SCAN:
            # One scan with all components contains no long run of ends of blocks,
            # unless that is the first symbol of every table.
            at = data.find(_ZEROS, end, data.rfind(jpeg.END_OF_IMAGE))
            if at >= 0 and any(first_symbols) and segment[0] == num_components:
                return f"contains zeros instead of pixels at byte {at:,}"
    return None
