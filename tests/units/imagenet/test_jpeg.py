"""What is wrong with an image's bytes, and which images are converted."""

import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings, strategies as st
from PIL import Image

from imagenet2012_subset.imagenet import jpeg
from tests.shared import archives

pytestmark = pytest.mark.usefixtures("converted_here")
NAME = "n01440764_1.JPEG"
CMYK = sorted(jpeg.CMYK_IMAGES)
(PNG,) = jpeg.PNG_IMAGES


def _pixels(seed: int, width: int, height: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return Image.fromarray(values)


# EXIF data with a thumbnail: a whole JPEG with its own end marker.
THUMBNAIL = Image.Exif().tobytes() + archives.jpeg(7, (16, 12))


@st.composite
def jpegs(draw: st.DrawFn) -> bytes:
    side = st.integers(1, 70)
    image = _pixels(draw(st.integers(0, 99)), draw(side), draw(side))
    return archives.encode(
        image.convert(draw(st.sampled_from(["RGB", "L", "CMYK"]))),
        quality=draw(st.integers(1, 100)),
        progressive=draw(st.booleans()),
        optimize=draw(st.booleans()),
        comment=draw(st.binary(max_size=50)),
        exif=draw(st.sampled_from([b"", THUMBNAIL])),
        restart_marker_blocks=draw(st.integers(0, 3)),
    )


@given(jpegs(), st.binary(max_size=40), st.data())
def test_a_jpeg_is_defective_if_it_is_cut_off_anywhere(data, rest, draw):
    assert jpeg.defect(NAME, data) is None
    assert jpeg.defect(NAME, data + rest) is None
    length = draw.draw(st.integers(0, len(data) - 2))
    assert jpeg.defect(NAME, data[:length]) is not None
    # A download that was interrupted may have zeros up to the full length.
    assert jpeg.defect(NAME, data[:length].ljust(len(data), b"\0")) is not None


@pytest.mark.parametrize(
    "between", [b"\xff", b"\xff\xff\xff", b"\xff\x01", b"\xff\xd0", b"\xff\xd8"]
)
def test_fill_bytes_and_markers_without_a_length_are_skipped(between):
    data = archives.jpeg(1)
    data = data[:2] + between + data[2:]
    assert jpeg.defect(NAME, data) is None
    # Its pixels are found, and nothing needs to decode it.
    assert jpeg.defect(NAME, data[:-2]) == (
        "is cut off: no end-of-image marker follows its pixels"
    )


def test_a_jpeg_that_ends_with_the_header_of_its_scan_is_cut_off():
    start = b"\xff\xd8\xff\xda\x00\x02"
    assert jpeg.defect(NAME, start).startswith("is cut off")
    assert jpeg.defect(NAME, start[:-1]) == "is a JPEG without image data"


@pytest.mark.parametrize("name", [NAME, CMYK[0], PNG])
@pytest.mark.parametrize(
    ("image_format", "what"),
    [("GIF", "a GIF image"), ("WEBP", "a WebP image"), ("PNG", "a PNG image")],
)
def test_an_image_in_another_format_is_defective(name, image_format, what):
    data = archives.encode(_pixels(1, 30, 20), image_format)
    if (name, image_format) == (PNG, "PNG"):
        assert jpeg.defect(name, data) is None
        assert jpeg.defect(name, data[: len(data) // 2]) is not None
    else:
        assert jpeg.defect(name, data) == f"is {what}, not a JPEG"


def test_a_source_that_stores_converted_images_has_jpegs_only():
    png = archives.encode(_pixels(1, 30, 20), "PNG")
    assert jpeg.defect(PNG, png, stores_converted=True) == "is a PNG image, not a JPEG"
    for name in (PNG, CMYK[0]):
        data = jpeg.to_rgb_jpeg(PNG, png)
        assert jpeg.defect(name, data, stores_converted=True) is None
        cut = jpeg.defect(name, data[:-2], stores_converted=True)
        assert cut.startswith("is cut off")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (bytes(1), "contains only zeros"),
        (bytes(100_000), "contains only zeros"),
        (b"\1\xab\0\xffrest", "is of an unknown format (01 AB 00 FF ...), not a JPEG"),
        (b"<html>404</html>", "is a web page, not a JPEG"),
        (b'{"error": 404}', "is a JSON text, not a JPEG"),
        (b"n01440764_1.JPEG\n", "is a text file, not a JPEG"),
    ],
)
def test_other_bytes_are_described(data, problem):
    assert jpeg.defect(NAME, data) == problem


@pytest.mark.parametrize("name", [CMYK[0], PNG])
def test_an_image_that_cannot_be_converted_is_defective(name):
    skeleton = b"\xff\xd8\xff\xda\x00\x02no pixels\xff\xd9"
    assert jpeg.defect(name, skeleton).startswith("cannot be converted to an RGB JPEG")


@settings(max_examples=200)
@given(jpegs(), st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=4))))
def test_damage_gives_a_reason_or_nothing_but_never_an_exception(data, changes):
    damaged = bytearray(data)
    for place, overwrite in changes:
        at = place % len(data)
        damaged[at : at + len(overwrite)] = overwrite
    for name in (NAME, CMYK[0], PNG):
        problem = jpeg.defect(name, bytes(damaged))
        if problem is not None:
            reasons = "is .* not a JPEG|is a JPEG without image data|is cut off"
            if name != NAME:
                reasons += "|cannot be converted"
            assert re.match(reasons, problem)
        elif jpeg.is_converted(name):
            # It is enough of an image to become one.
            assert jpeg.defect(NAME, jpeg.to_rgb_jpeg(name, bytes(damaged))) is None
        else:
            assert b"\xff\xd9" in damaged or not damaged.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("name", "image_format", "mode"),
    [(name, "JPEG", mode) for name in (CMYK[0], PNG) for mode in ("RGB", "L", "CMYK")]
    + [(PNG, "PNG", mode) for mode in ("RGB", "RGBA", "L")],
)
def test_conversion_gives_the_same_as_tfds(name, image_format, mode):
    data = archives.encode(_pixels(5, 40, 30).convert(mode), image_format)
    utils = tfds.core.utils
    in_tfds = utils.png_to_jpeg if name == PNG else utils.jpeg_cmyk_to_rgb
    try:
        expected = bytes(in_tfds(data))
    except Exception:
        problem = jpeg.defect(name, data)
        assert problem.startswith("cannot be converted to an RGB JPEG (")
        assert not re.search(r"\{\{|\[Op:|name:", problem)
    else:
        assert jpeg.defect(name, data) is None
        assert jpeg.to_rgb_jpeg(name, data) == expected


def test_all_other_images_stay_as_they_are():
    data = archives.encode(_pixels(5, 4, 3).convert("CMYK"))
    for name in (NAME, archives.validation_name(1)):
        assert jpeg.to_rgb_jpeg(name, data) == data


def test_real_photos_have_no_defect_until_they_are_cut_off(real_data):
    photos = sorted((real_data / "photos").glob("*.JPEG"))
    assert len(photos) > 200
    for photo in photos:
        data = photo.read_bytes()
        assert jpeg.defect(photo.name, data) is None, photo.name
        for length in (len(data) * 99 // 100, len(data) // 2, 700):
            assert jpeg.defect(photo.name, data[:length]) is not None, photo.name
