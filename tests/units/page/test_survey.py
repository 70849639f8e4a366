"""The sample of thumbnails, which is fair to all classes, and thumbnails themselves."""

import collections
import io

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from imagenet2012_subset.page.survey import (
    MAX_BYTES,
    SIDE,
    FairSample,
    Thumbnail,
    make_thumbnail,
)
from tests.shared import archives

_LABELS = st.lists(st.integers(0, 9), max_size=120)


def _sample(labels: list[int], capacity: int) -> dict[int, list[int]]:
    """Returns the positions that are kept of each label."""
    sample = FairSample(capacity)
    for position, label in enumerate(labels):
        if sample.wants(label):
            sample.add(label, Thumbnail("", position, 0, 0, b""))
    return {
        label: [one.width for one in kept] for label, kept in sample.by_label().items()
    }


@given(_LABELS, st.integers(1, 60))
def test_sample_is_full_and_fair_and_keeps_the_first_of_each_class(labels, capacity):
    kept = _sample(labels, capacity)
    assert list(kept) == sorted(kept)
    assert all(kept.values())
    assert sum(map(len, kept.values())) == min(len(labels), capacity)
    most = max(map(len, kept.values()), default=0)
    for label, count in collections.Counter(labels).items():
        positions = [i for i, other in enumerate(labels) if other == label]
        mine = kept.get(label, [])
        assert mine == positions[: len(mine)]
        assert len(mine) == count or len(mine) >= most - 1


def _decoded(webp: bytes) -> Image.Image:
    return Image.open(io.BytesIO(webp)).convert("RGB")


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (96, 96), (97, 50), (4000, 3000)])
def test_thumbnail_of_any_size_is_a_square(size):
    data = archives.encode(Image.new("RGB", size, (250, 120, 0)))
    thumbnail = make_thumbnail("name.JPEG", data)
    assert (thumbnail.file_name, thumbnail.num_bytes) == ("name.JPEG", len(data))
    assert (thumbnail.width, thumbnail.height) == size
    pixels = np.asarray(_decoded(thumbnail.webp), int)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert abs(pixels - (250, 120, 0)).max() < 12


def test_thumbnail_shows_the_middle():
    image = Image.new("RGB", (900, 300), "blue")
    image.paste("white", (300, 0, 600, 300))
    thumbnail = make_thumbnail("name.JPEG", archives.encode(image))
    assert np.asarray(_decoded(thumbnail.webp))[:, 3:-3].min() > 230


@pytest.mark.parametrize(
    ("mode", "image_format"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG")]
)
def test_thumbnail_is_rgb(mode, image_format):
    data = archives.encode(Image.new(mode, (200, 100)), image_format)
    assert Image.open(io.BytesIO(make_thumbnail("a", data).webp)).mode == "RGB"


def test_thumbnail_of_a_noisy_image_takes_few_bytes():
    smooth = np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)
    image = Image.fromarray(smooth).resize((500, 375), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, 25, (375, 500, 1))
    noisy = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    data = archives.encode(Image.fromarray(noisy))
    assert len(make_thumbnail("a", data).webp) <= MAX_BYTES


def test_data_that_is_not_an_image():
    with pytest.raises(OSError, match="cannot identify"):
        make_thumbnail("a", b"no image")
