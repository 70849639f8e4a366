"""From an imagenet2012 that TFDS prepared comes the dataset that the tars give."""

from __future__ import annotations

import io
import pathlib
import shutil

import pytest
import tensorflow_datasets as tfds
from PIL import Image

import imagenet2012_subset
from imagenet2012_subset import ArchiveError, ManualDirError, SubsetConfig
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.shared import archives, prepared
from tests.shared.final_place import contents

# One is CMYK in the tar and one a PNG: TFDS has converted both.
CMYK, PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"


def _converted(seed: int, mode: str, image_format: str) -> bytes:
    image = Image.open(io.BytesIO(archives.jpeg(seed))).convert(mode)
    return archives.encode(image, image_format)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> prepared.Prepared:
    """Three synsets of four images, with the two that are converted, and five more."""
    tfds.disable_progress_bar()
    training = {
        wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(10 * i + n)) for n in (7, 2, 30, 11)]
        for i, wnid in enumerate(("n01440764", "n02105855", "n02447366"))
    }
    training["n02447366"][0] = CMYK, _converted(1, "CMYK", "JPEG")
    training["n02105855"][0] = PNG, _converted(2, "RGB", "PNG")
    return prepared.prepare(
        tmp_path_factory.mktemp("imagenet"),
        training,
        [
            (archives.validation_name(n), archives.jpeg(900 + n))
            for n in (4, 1, 5, 3, 2)
        ],
        [name for images in training.values() for name, _ in images[::2]],
    )


def _build(
    imagenet: prepared.Prepared,
    data_dir: pathlib.Path,
    manual_dir: pathlib.Path | None,
    validation_images: int | None = None,
) -> dict[str, bytes]:
    builder = imagenet2012_subset.Builder(
        config=SubsetConfig(
            name="small",
            subset_list=str(imagenet.subset_list),
            validation_images=validation_images or imagenet.num_validation,
        ),
        data_dir=data_dir,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return contents(builder.data_path)


@pytest.fixture(scope="module")
def from_tars(imagenet, tmp_path_factory, converted_here) -> dict[str, bytes]:
    return _build(imagenet, tmp_path_factory.mktemp("from_tars"), imagenet.manual_dir)


@pytest.mark.parametrize("file_format", prepared.FORMATS)
@pytest.mark.parametrize("below", ["", "imagenet2012", "imagenet2012/5.1.0"])
def test_same_bytes_as_from_tars(
    imagenet, from_tars, tmp_path, capsys, file_format, below
):
    manual_dir = imagenet.data_dirs[file_format] / below
    assert _build(imagenet, tmp_path, manual_dir) == from_tars
    version = imagenet.version(file_format)
    assert capsys.readouterr().out.count(f"from {version} (imagenet2012 5.1.0") == 2


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_one_split_from_a_tar(imagenet, from_tars, tmp_path, original):
    manual_dir = tmp_path / "manual"
    shutil.copytree(imagenet.version("tfrecord"), manual_dir)
    split = "train" if original == TRAINING else "validation"
    for path in manual_dir.glob(f"imagenet2012-{split}.*"):
        path.unlink()
    shutil.copy(imagenet.manual_dir / original.file_name, manual_dir)
    assert _build(imagenet, tmp_path, manual_dir) == from_tars


@pytest.mark.parametrize("manual_dir", ["none", "empty", "other files"])
def test_the_data_dir_contains_it(imagenet, from_tars, tmp_path, capsys, manual_dir):
    data_dir = imagenet.data_dirs["tfrecord"]
    shutil.copytree(data_dir / "imagenet2012", tmp_path / "imagenet2012")
    given = None if manual_dir == "none" else tmp_path / "manual"
    if given:
        given.mkdir()
        if manual_dir == "other files":
            (given / "notes.txt").touch()
    assert _build(imagenet, tmp_path, given) == from_tars
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "from " in line]
    assert line.count(f"from {tmp_path / 'imagenet2012' / '5.1.0'} (") == 2


def test_a_manual_dir_with_one_split_is_not_completed(imagenet, tmp_path):
    shutil.copytree(
        imagenet.data_dirs["tfrecord"] / "imagenet2012", tmp_path / "imagenet2012"
    )
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    shutil.copy(imagenet.manual_dir / TRAINING.file_name, manual_dir)
    with pytest.raises(ManualDirError) as caught:
        _build(imagenet, tmp_path, manual_dir)
    assert caught.value.path == str(manual_dir / VALIDATION.file_name)


def test_a_dataset_that_was_cut(imagenet, tmp_path):
    folder = imagenet.version("tfrecord")
    with pytest.raises(ArchiveError) as caught:
        _build(imagenet, tmp_path, folder, validation_images=7)
    assert caught.value.path == str(folder)
    assert "is missing 2 of 7 images" in caught.value.problem
    assert "has 5 examples" in caught.value.problem
    assert "max_examples_per_split" in caught.value.problem


def test_a_damaged_image_leaves_no_dataset(imagenet, tmp_path):
    folder = tmp_path / "5.1.0"
    shutil.copytree(imagenet.version("array_record"), folder)
    path = prepared.shard_path(folder, "validation", 1, 3, "array_record")
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xd8\xff")
    content[at + 300] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="does not match its checksum") as caught:
        _build(imagenet, tmp_path / "data", folder)
    assert caught.value.path == str(path)
    assert not [*(tmp_path / "data").rglob("*.tfrecord*")]
