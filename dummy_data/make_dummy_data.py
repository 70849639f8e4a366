"""Writes the archives and lists in this folder, with the same bytes each time.

    python dummy_data/make_dummy_data.py [FOLDER]

Each class has its own shape and colour, and each image has a different number of white
dots, so that a wrong label is visible at a glance. No image is from a dataset.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import tarfile
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image

_WIDTH, _HEIGHT = 96, 72  # Pixels.
_CENTRE = (48, 32)
_RADIUS = 26

# The class of each of the first ten validation images, which ImageNet fixes.
_VALIDATION_WNIDS = (
    "n01751748",
    "n09193705",
    "n02105855",
    "n04263257",
    "n03125729",
    "n01735189",
    "n02346627",
    "n02776631",
    "n03794056",
    "n02328150",
)

# Red, green, blue and number of petals; 0 petals make a disc. The training images are
# of the same classes, and of two more that have CMYK images.
_FLOWERS = {
    "n01735189": (200, 30, 60, 0),
    "n01751748": (60, 90, 220, 4),
    "n02105855": (20, 110, 50, 3),
    "n02328150": (240, 140, 0, 5),
    "n02346627": (130, 30, 140, 9),
    "n02447366": (20, 20, 20, 0),
    "n02776631": (0, 180, 180, 3),
    "n03125729": (240, 230, 40, 4),
    "n03794056": (120, 70, 20, 5),
    "n04263257": (250, 120, 180, 9),
    "n07583066": (110, 110, 110, 4),
    "n09193705": (110, 220, 60, 0),
}

# The numbers of each class's images, and of those that ImageNet has in another form.
_NUMBERS = (1, 2, 3, 4, 5)
_PNG = "n02105855_2933.JPEG"
_CMYK = ("n02447366_23489.JPEG", "n07583066_647.JPEG")

_LISTS = {
    "1percent.txt": (2, 5),
    "10percent.txt": (2, 3, 5, 647, 2933, 23489),
}


def _names(wnid: str) -> list[str]:
    names = [f"{wnid}_{number}.JPEG" for number in _NUMBERS]
    return names + [name for name in (_PNG, *_CMYK) if name.startswith(wnid)]


def _draw(wnid: str, dots: int) -> Image.Image:
    *colour, petals = _FLOWERS[wnid]
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    x, y = x - _CENTRE[0], y - _CENTRE[1]
    edge = _RADIUS * (0.75 + 0.25 * np.cos(petals * np.arctan2(y, x)))
    pixels = np.full((_HEIGHT, _WIDTH, 3), 210, np.uint8)
    pixels[np.hypot(x, y) < edge] = colour
    for i in range(dots):
        pixels[62:68, 4 + 9 * i : 10 + 9 * i] = 255
    return Image.fromarray(pixels)


def _encode(picture: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    if name == _PNG:
        picture.save(stream, "PNG")
    elif name in _CMYK:
        picture.convert("CMYK").save(stream, "JPEG", quality=75)
    else:
        picture.save(stream, "JPEG", quality=75)
    return stream.getvalue()


def _write_tar(stream: io.BufferedIOBase, files: Iterable[tuple[str, bytes]]) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _training_files() -> Iterable[tuple[str, bytes]]:
    for wnid in _FLOWERS:
        images = [
            (name, _encode(_draw(wnid, dots), name))
            for dots, name in enumerate(_names(wnid), start=1)
        ]
        images.reverse()  # Images of an archive are not in the order of their numbers.
        synset = io.BytesIO()
        _write_tar(synset, images)
        yield f"{wnid}.tar", synset.getvalue()


def _validation_files() -> Iterable[tuple[str, bytes]]:
    for number in (3, 8, 1, 10, 6, 2, 9, 5, 7, 4):
        name = f"ILSVRC2012_val_{number:08d}.JPEG"
        yield name, _encode(_draw(_VALIDATION_WNIDS[number - 1], number), name)


def make_dummy_data(folder: pathlib.Path) -> None:
    """Writes the two archives and the two lists into `folder`."""
    writers: dict[str, Callable[[], Iterable[tuple[str, bytes]]]] = {
        "ILSVRC2012_img_train.tar": _training_files,
        "ILSVRC2012_img_val.tar": _validation_files,
    }
    for file_name, files in writers.items():
        with (folder / file_name).open("wb") as stream:
            _write_tar(stream, files())
    for file_name, kept in _LISTS.items():
        names = [
            f"{name}\n"
            for wnid in _FLOWERS
            for name in _names(wnid)
            if int(name.split("_")[1].removesuffix(".JPEG")) in kept
        ]
        (folder / file_name).write_text("".join(names[1::2] + names[::2]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent
    )
    make_dummy_data(parser.parse_args().folder)
