"""Builds a subset and draws some of its labelled images.

    python examples/contact_sheet.py                             # the dummy data
    python examples/contact_sheet.py --manual_dir ~/imagenet     # your archives, 1pct

It saves `contact_sheet.png` in the current directory.
"""

from __future__ import annotations

import quiet_tensorflow  # noqa: F401

# isort: split
import math

import tensorflow_datasets as tfds
from dataset import arguments, prepared
from PIL import Image, ImageDraw, ImageOps

from imagenet2012_subset import DatasetError, class_name

_CELL = (160, 160)  # Width and height in pixels, with two lines of text.
_PICTURE = (150, 122)
_COLUMNS = 6


def contact_sheet(
    builder: tfds.core.DatasetBuilder, split: str, count: int
) -> Image.Image:
    """Returns the first images of a split, each with its class and file name."""
    examples = list(builder.as_dataset(split=split).take(count).as_numpy_iterator())
    rows = math.ceil(len(examples) / _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _CELL[0], rows * _CELL[1]), "white")
    pen = ImageDraw.Draw(sheet)
    for i, example in enumerate(examples):
        left, top = i % _COLUMNS * _CELL[0] + 5, i // _COLUMNS * _CELL[1] + 5
        picture = ImageOps.contain(Image.fromarray(example["image"]), _PICTURE)
        sheet.paste(picture, (left, top))
        pen.text((left, top + 124), class_name(example["label"]), fill="black")
        pen.text((left, top + 138), example["file_name"].decode(), fill="gray")
    return sheet


def main() -> int:
    """Builds and draws."""
    parser = arguments(__doc__)
    parser.add_argument("--config", default="1pct", help="1pct or 10pct")
    parser.add_argument("--split", default="train")
    parser.add_argument("--count", type=int, default=24, help="images to draw")
    args = parser.parse_args()

    try:
        builder = prepared(args, args.config)
    except DatasetError as error:
        print(error)
        return 1
    contact_sheet(builder, args.split, args.count).save("contact_sheet.png")
    print(f"Drew images of {builder.info.full_name}: open contact_sheet.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
