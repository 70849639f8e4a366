"""`check --decode`: damage inside the pixels of an image is found."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from imagenet2012_subset.check import images
from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.imagenet.names import TRAINING
from tests.shared import archives


def _photo(size=(500, 375), **options) -> bytes:
    """Returns a JPEG of a smooth picture with a little noise."""
    coarse = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 6, (*size[::-1], 3))
    pixels = np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)
    return archives.encode(Image.fromarray(pixels), **options)


def _joined_tables(data: bytes) -> bytes:
    """Puts all Huffman tables of a JPEG into one segment, as many cameras do."""
    found = [place for marker, *place in jpeg.segments(data) if marker == 0xC4]
    tables = b"".join(data[start:end] for start, end in found)
    start, end = found[0][0], found[-1][1]
    length = (2 + len(tables)).to_bytes(2, "big")
    return data[: start - 2] + length + tables + data[end:]


def _zeros(data: bytes, at: float, length: int) -> bytes:
    start = int(at * len(data))
    return data[:start] + bytes(length) + data[start + length :]


def _defects(named):
    return dict(images.strict_defects(named.items(), stores_converted=True))


_SOUND = {
    "plain": _photo(),
    "progressive": _photo(progressive=True),
    "optimized": _photo(optimize=True),
    "restart markers": _photo(restart_marker_blocks=8),
    "joined tables": _joined_tables(_photo()),
    "grayscale": archives.encode(Image.open(io.BytesIO(_photo())).convert("L")),
    "CMYK": archives.encode(Image.open(io.BytesIO(_photo())).convert("CMYK")),
    "tiny": archives.encode(Image.new("RGB", (1, 1))),
    "white": archives.encode(Image.new("RGB", (2000, 2000), "white")),
    "long runs of zeros": archives.encode(
        Image.new("RGB", (2000, 2000), "white"), optimize=True
    ),
}


def test_sound_images():
    assert bytes(32) in _SOUND["long runs of zeros"]
    assert _defects(_SOUND) == {}


@pytest.mark.parametrize("kind", ["plain", "optimized", "restart markers"])
def test_zeros_inside_a_scan(kind):
    data = _SOUND[kind]
    damaged = {
        f"{at} {length}": _zeros(data, at, length)
        for at in np.linspace(0.2, 0.9, 15)
        for length in (64, 512, 4096)
    }
    assert _defects({**damaged, "sound": data}).keys() == damaged.keys()


@pytest.mark.parametrize("kind", ["plain", "optimized", "joined tables"])
def test_zeros_are_found_even_if_a_decoder_misses_them(kind):
    data = _SOUND[kind]
    problem = f"contains zeros instead of pixels at byte {len(data) // 2:,}"
    assert images._zeros(data) is None
    assert images._zeros(_zeros(data, 0.5, 64)) == problem


@pytest.mark.parametrize("kind", ["plain", "progressive", "grayscale"])
def test_other_damage(kind):
    data = _SOUND[kind]
    middle = len(data) // 2
    noise = np.random.default_rng(0).bytes(4096)
    damaged = {
        "noise": data[:middle] + noise + data[middle + 4096 :],
        "block missing": data[:middle] + data[middle + 4096 :],
        "cut off, with an end marker": data[:middle] + b"\xff\xd9",
    }
    assert _defects(damaged).keys() == damaged.keys()


def test_other_lines_on_standard_error_are_passed_on(capfd, monkeypatch):
    decode = images._decode

    def chatty(*arguments):
        os.write(2, b"a line of another library\n")
        return decode(*arguments)

    monkeypatch.setattr(images, "_decode", chatty)
    assert set(_defects({"bad": _zeros(_SOUND["plain"], 0.5, 4096)})) == {"bad"}
    printed = capfd.readouterr().err
    assert "a line of another library" in printed
    assert "Corrupt JPEG data" not in printed


@pytest.fixture
def damaged_images(small_data):
    """Puts photos into the archives, two of which have zeros inside their pixels."""
    names = ["n01440764_7.JPEG", "ILSVRC2012_val_00000001.JPEG"]
    for group in (*small_data.training.values(), small_data.validation):
        # No two have the same bytes.
        photos = [(name, _photo(comment=name)) for name, _ in group]
        group[:] = [
            (name, _zeros(photo, 0.5, 2000) if name in names else photo)
            for name, photo in photos
        ]
    small_data.write()
    return names


def test_dataset(build, check, damaged_images):
    folder = build().data_path
    assert check(folder).status == 0
    wrong = check(folder, "--decode").wrong
    for split, name in zip(("train", "validation"), damaged_images, strict=True):
        (message,) = wrong[split]
        assert message.startswith(f"1 damaged images ({name} ")


def test_manual_dir(small_data, check, damaged_images, monkeypatch):
    monkeypatch.setattr(images, "_STAGED", 3)
    checked = check(small_data.manual_dir, "--decode")
    for (_, messages), name in zip(checked.wrong.items(), damaged_images, strict=True):
        assert messages[-1].startswith(f"1 damaged images ({name} ")
    small_data.subset_list.write_text("n01443537_7.JPEG\n")
    given = ("--decode", "--subset_list", small_data.subset_list)
    findings = check(small_data.manual_dir, *given).findings[TRAINING.file_name]
    assert findings[-1]["ok"]
    assert findings[-1]["facts"]["decoded"] == 1


def test_source_that_cannot_be_read(small_data, check):
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").unlink()
    (small_data.manual_dir / "val").mkdir()
    (small_data.manual_dir / "val" / "ILSVRC2012_val_00000001.JPEG").touch()
    messages = check(small_data.manual_dir, "--decode").wrong["val"]
    assert "is empty" in messages[-1]
