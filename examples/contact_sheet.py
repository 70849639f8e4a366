"""Builds a subset and draws some of its labelled images.

    python examples/contact_sheet.py                     # the dummy data
    python examples/contact_sheet.py ~/imagenet          # the real archives, 1pct

It prints what was built and saves `contact_sheet.png` in the current folder.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import tempfile

import tensorflow_datasets as tfds
from PIL import Image, ImageDraw, ImageOps

from imagenet2012_subset import DatasetError, SubsetConfig, class_name

_DUMMY_DATA = pathlib.Path(__file__).parent.parent / "dummy_data"
_CELL = (160, 160)  # Width and height in pixels, with two lines of text.
_PICTURE = (150, 122)
_COLUMNS = 6


def build(
    manual_dir: pathlib.Path, config: str, data_dir: str | None
) -> tfds.core.DatasetBuilder:
    """Returns the builder of the prepared subset."""
    if manual_dir == _DUMMY_DATA:
        # What is made of dummy data has no place among real datasets.
        data_dir = data_dir or tempfile.mkdtemp(prefix="imagenet2012_subset_")
        chosen: str | SubsetConfig = SubsetConfig(
            name="dummy",
            description="Drawn shapes in place of photos.",
            subset_list=str(_DUMMY_DATA / "10percent.txt"),
            validation_images=10,
        )
    else:
        chosen = config
    builder = tfds.builder("imagenet2012_subset", config=chosen, data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return builder


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
    """Builds, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "manual_dir",
        nargs="?",
        type=pathlib.Path,
        default=_DUMMY_DATA,
        help="the folder of the two archives (default: the dummy data)",
    )
    parser.add_argument("--config", default="1pct", help="1pct or 10pct")
    parser.add_argument("--data_dir", help="default: ~/tensorflow_datasets")
    parser.add_argument("--split", default="train")
    parser.add_argument("--count", type=int, default=24, help="images to draw")
    args = parser.parse_args()

    try:
        builder = build(args.manual_dir, args.config, args.data_dir)
    except DatasetError as error:
        print(error)
        return 1
    print(f"\n{builder.info.full_name} in {builder.data_dir}")
    for name, split in builder.info.splits.items():
        print(f"{name:>12}: {split.num_examples:,} images in {split.num_shards} shards")
    sheet = contact_sheet(builder, args.split, args.count)
    sheet.save("contact_sheet.png")
    print("Some of them: contact_sheet.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
