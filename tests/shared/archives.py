"""Makes small archives for tests, nested as the real ones and with real images."""

from __future__ import annotations

import io
import pathlib
import tarfile
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION

Files = Iterable[tuple[str, bytes]]


def jpeg(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """Returns a different JPEG for each seed; `size` is width and height."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
    return encode(Image.fromarray(pixels))


def encode(image: Image.Image, image_format: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def tar_bytes(files: Files, tar_format: int = tarfile.GNU_FORMAT) -> bytes:
    """Returns a tar of regular files, as the standard library writes it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def training_tar(
    synsets: Mapping[str, Files], tar_format: int = tarfile.GNU_FORMAT
) -> bytes:
    """Returns a tar of `<wnid>.tar`, each with the files given for its wnid."""
    inner = [(f"{w}.tar", tar_bytes(files, tar_format)) for w, files in synsets.items()]
    return tar_bytes(inner, tar_format)


def write_manual_dir(
    folder: pathlib.Path, training: bytes, validation: bytes
) -> pathlib.Path:
    """Writes the two archives under their names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRAINING.file_name).write_bytes(training)
    (folder / VALIDATION.file_name).write_bytes(validation)
    return folder


def validation_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"
