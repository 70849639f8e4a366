from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imagenet2012_subset.page.thumbnail import MOST_BYTES, SIDE, make_thumbnail
from tests.shared import archives


def _decoded(webp: bytes) -> Image.Image:
    return Image.open(io.BytesIO(webp)).convert("RGB")


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (96, 96), (97, 50), (4000, 3000)])
def test_of_any_size_it_is_a_square(size):
    data = archives.encode(Image.new("RGB", size, (250, 120, 0)))
    thumbnail = make_thumbnail("name.JPEG", data)
    assert (thumbnail.file_name, thumbnail.num_bytes) == ("name.JPEG", len(data))
    assert (thumbnail.width, thumbnail.height) == size
    pixels = np.asarray(_decoded(thumbnail.webp), int)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert abs(pixels - (250, 120, 0)).max() < 12


def test_it_shows_the_middle():
    image = Image.new("RGB", (900, 300), "blue")
    image.paste("white", (300, 0, 600, 300))
    thumbnail = make_thumbnail("name.JPEG", archives.encode(image))
    assert np.asarray(_decoded(thumbnail.webp))[:, 3:-3].min() > 230


@pytest.mark.parametrize(
    ("mode", "image_format"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG")]
)
def test_whatever_the_colours_are_it_is_rgb(mode, image_format):
    data = archives.encode(Image.new(mode, (200, 100)), image_format)
    assert Image.open(io.BytesIO(make_thumbnail("a", data).webp)).mode == "RGB"


def test_it_takes_few_bytes_even_of_what_is_hard_to_compress():
    smooth = np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)
    image = Image.fromarray(smooth).resize((500, 375), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, 25, (375, 500, 1))
    noisy = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    data = archives.encode(Image.fromarray(noisy))
    assert len(make_thumbnail("a", data).webp) <= MOST_BYTES


def test_what_is_no_image_is_an_error():
    with pytest.raises(OSError, match="cannot identify"):
        make_thumbnail("a", b"no image")
