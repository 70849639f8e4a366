"""Puts the small data into a folder in every form that people have ImageNet in."""

from __future__ import annotations

import io
import pathlib
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.conftest import SmallData
from tests.shared import archives, prepared

Form = Callable[[SmallData, pathlib.Path], None]

_KAGGLE = "ILSVRC/Data/CLS-LOC"
_CHALLENGE = f"imagenet-object-localization-challenge/{_KAGGLE}"


def images(data: SmallData) -> Iterator[tuple[str, bytes]]:
    for of_synset in data.training.values():
        yield from of_synset


def appended(name: str) -> str:
    return f"{name.removesuffix('.JPEG')}_{names.wnid(name)}.JPEG"


def write(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def training_tar(data: SmallData, folder: pathlib.Path) -> None:
    write(folder / TRAINING.file_name, archives.training_tar(data.training))


def validation_tar(data: SmallData, folder: pathlib.Path) -> None:
    write(folder / VALIDATION.file_name, archives.tar_bytes(data.validation))


def synset_tars(where: str) -> Form:
    """As the outer training tar extracts."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        tar = archives.training_tar(data.training)
        with tarfile.open(fileobj=io.BytesIO(tar)) as outer:
            outer.extractall(folder / where, filter="data")

    return lay_out


def training_tree(where: str) -> Form:
    """As well-known scripts extract: a folder for each tar, which is removed."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        synset_tars(where)(data, folder)
        for tar in (folder / where).glob("n*.tar"):
            with tarfile.open(tar) as inner:
                inner.extractall(tar.with_suffix(""), filter="data")
            tar.unlink()

    return lay_out


def validation_flat(where: str) -> Form:
    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        with tarfile.open(
            fileobj=io.BytesIO(archives.tar_bytes(data.validation))
        ) as tar:
            tar.extractall(folder / where, filter="data")

    return lay_out


def validation_sorted(where: str) -> Form:
    """As torchvision and valprep.sh sort; some synsets have no image."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        for wnid in names.wnids()[::100]:
            (folder / where / wnid).mkdir(parents=True, exist_ok=True)
        for name, content in data.validation:
            write(folder / where / names.wnid(name) / name, content)

    return lay_out


def training_appended(*where: str) -> Form:
    """As the Hugging Face hub's archives extract, spread over several folders."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        for number, (name, content) in enumerate(images(data)):
            write(folder / where[number % len(where)] / appended(name), content)

    return lay_out


def training_appended_sorted(data: SmallData, folder: pathlib.Path) -> None:
    for name, content in images(data):
        write(folder / "train" / names.wnid(name) / appended(name), content)


def validation_appended(where: str) -> Form:
    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        for name, content in data.validation:
            write(folder / where / appended(name), content)

    return lay_out


_HUB_SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
    ]
)


def hub_rows(images: Iterable[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Returns the rows that the Hugging Face hub's parquet files have of images."""
    return [
        {
            "image": {"bytes": data, "path": appended(name)},
            "label": names.wnids().index(names.wnid(name)),
        }
        for name, data in images
    ]


def write_parquet(
    folder: pathlib.Path,
    split: str,
    rows: Sequence[dict[str, Any]],
    num_files: int = 3,
    schema: pa.Schema = _HUB_SCHEMA,
) -> None:
    """Writes consecutive rows into each file, two of them into each row group."""
    folder.mkdir(parents=True, exist_ok=True)
    in_file = -(-len(rows) // num_files)
    for number in range(num_files):
        path = folder / f"{split}-{number:05d}-of-{num_files:05d}.parquet"
        part = list(rows[number * in_file : (number + 1) * in_file])
        table = pa.Table.from_pylist(part, schema)
        parquet.write_table(table, path, row_group_size=2)


def training_parquet(where: str) -> Form:
    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        shuffled = sorted(images(data), key=lambda image: image[1])
        write_parquet(folder / where, "train", hub_rows(shuffled))

    return lay_out


def validation_parquet(where: str) -> Form:
    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        write_parquet(folder / where, "validation", hub_rows(data.validation))

    return lay_out


def prepared_by_tfds(file_format: str) -> Form:
    """The only form that contains both splits: TFDS stores them together."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        version = folder / "imagenet2012" / "5.1.0"
        for split, rows in (("train", images(data)), ("validation", data.validation)):
            records = [prepared.record(*row) for row in rows]
            shards = [records[::2], records[1::2]]
            prepared.write_version(version, split, shards, file_format=file_format)

    return lay_out


def linked(form: Form, where: str) -> Form:
    """The form in another folder, and a link to it."""

    def lay_out(data: SmallData, folder: pathlib.Path) -> None:
        elsewhere = folder.parent / f"{folder.name}_disk"
        form(data, elsewhere)
        (folder / where).symlink_to(elsewhere / where)

    return lay_out


TRAINING_FORMS: Mapping[str, Form] = {
    "the tar": training_tar,
    "train/<wnid>/": training_tree("train"),
    "ILSVRC2012_img_train/<wnid>/": training_tree("ILSVRC2012_img_train"),
    "<wnid>/": training_tree(""),
    "Kaggle's": training_tree(f"{_KAGGLE}/train"),
    "Kaggle's, in its folder": training_tree(f"{_CHALLENGE}/train"),
    "Kaggle's ILSVRC": training_tree("Data/CLS-LOC/train"),
    "ImageNet/": training_tree("ImageNet/train"),
    "synset tars": synset_tars("train"),
    "synset tars in ILSVRC2012_img_train/": synset_tars("ILSVRC2012_img_train"),
    "synset tars in the folder itself": synset_tars(""),
    "wnid appended, flat": training_appended("train"),
    "wnid appended, as extracted": training_appended(""),
    "wnid appended, as extracted into five": training_appended(
        *(f"data/train_images_{number}" for number in range(5))
    ),
    "wnid appended, sorted": training_appended_sorted,
    "parquet files": training_parquet("data"),
    "parquet files in the folder itself": training_parquet(""),
    "TFRecord files of TFDS": prepared_by_tfds("tfrecord"),
    "ArrayRecord files of TFDS": prepared_by_tfds("array_record"),
    "a link": linked(training_tree("train"), "train"),
    "a link to synset tars": linked(synset_tars("train"), "train"),
}
VALIDATION_FORMS: Mapping[str, Form] = {
    "the tar": validation_tar,
    "val/": validation_flat("val"),
    "val/<wnid>/": validation_sorted("val"),
    "ILSVRC2012_img_val/": validation_flat("ILSVRC2012_img_val"),
    "ILSVRC2012_val/<wnid>/": validation_sorted("ILSVRC2012_val"),
    "in the folder itself": validation_flat(""),
    "Kaggle's": validation_flat(f"{_KAGGLE}/val"),
    "Kaggle's, in its folder": validation_flat(f"{_CHALLENGE}/val"),
    "Kaggle's ILSVRC": validation_flat("Data/CLS-LOC/val"),
    "ImageNet/": validation_sorted("ImageNet/val"),
    "wnid appended": validation_appended("val"),
    "wnid appended, as extracted": validation_appended(""),
    "wnid appended, in a folder": validation_appended("data/val_images"),
    "parquet files": validation_parquet("data"),
    "parquet files in the folder itself": validation_parquet(""),
    "TFRecord files of TFDS": prepared_by_tfds("tfrecord"),
    "ArrayRecord files of TFDS": prepared_by_tfds("array_record"),
    "a link": linked(validation_flat("val"), "val"),
}

# What tools that extract leave behind, and what systems add.
LEFTOVERS: Mapping[str, bytes] = {
    "meta.bin": b"PK\x03\x04",
    "ILSVRC2012_devkit_t12.tar.gz": b"\x1f\x8b",
    "val/valprep.sh": b"mkdir -p n01440764\n",
    "train/.DS_Store": b"\0\0\0\1Bud1",
    "train/n01440764/.DS_Store": b"\0\0\0\1Bud1",
    "train/n01440764/._n01440764_7.JPEG": b"\0\5\x16\7",
    "val/._ILSVRC2012_val_00000001.JPEG": b"\0\5\x16\7",
    "__MACOSX/train/n01440764/._n01440764_7.JPEG": b"\0\5\x16\7",
    "LOC_val_solution.csv": b"ImageId,PredictionString\n",
    "LOC_synset_mapping.txt": b"n01440764 tench, Tinca tinca\n",
    "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml": b"<annotation/>",
    "ILSVRC/ImageSets/CLS-LOC/val.txt": b"ILSVRC2012_val_00000001 1\n",
    "test/ILSVRC2012_test_00000001.JPEG": b"",
}


def leave(folder: pathlib.Path, leftover: str) -> None:
    """Writes a leftover, unless one of its folders is something else."""
    path = folder / leftover
    if all(part.is_dir() or not part.exists() for part in path.parents):
        write(path, LEFTOVERS[leftover])
