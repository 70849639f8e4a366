"""Synthetic photographs: JPEGs whose sizes are spread as ImageNet's are.

Their content is random. For a benchmark it matters that they are real JPEGs, that no
two have the same bytes, and that sizes are distributed as in the original.
"""

from __future__ import annotations

import dataclasses
import io
import statistics

import numpy as np
from PIL import Image

MEAN_BYTES = 114_650
"""Mean size of a photo in bytes: the original training archive's."""

_SMALLEST, _LARGEST = 10_000, 400_000
_SPREAD = 0.7  # Standard deviation of the logarithm of a photo's size.
_QUALITY = 90
_PROBE_PIXELS = 400


@dataclasses.dataclass(frozen=True)
class Photos:
    """Distinct JPEGs in RGB, and one in CMYK.

    Attributes:
      rgb: The encoded photos, smallest first.
      cmyk: One encoded photo in CMYK, as 22 of the original training set are.
    """

    rgb: tuple[bytes, ...]
    cmyk: bytes


def typical_sizes(count: int) -> np.ndarray:
    """Returns `count` sizes in bytes, ascending, spread as photos' sizes are.

    They are quantiles of a log-normal distribution, cut at 400 kB, with the mean
    `MEAN_BYTES`.
    """
    normal = statistics.NormalDist()
    quantiles = [normal.inv_cdf((rank + 0.5) / count) for rank in range(count)]
    sizes = np.exp(_SPREAD * np.array(quantiles))
    for _ in range(8):  # Cutting lowers the mean, so a few rounds are needed.
        sizes = np.clip(sizes * (MEAN_BYTES / sizes.mean()), _SMALLEST, _LARGEST)
    return sizes.round().astype(np.int64)


def make_photos(seed: int, count: int = 64) -> Photos:
    """Makes `count` distinct photos, the same ones for the same seed."""
    rng = np.random.default_rng([seed, count])
    rgb = tuple(_photo(rng, int(size)) for size in typical_sizes(count))
    pixels = _pixels(rng, 300, 225, detail=12.0)
    return Photos(rgb=rgb, cmyk=_jpeg(Image.fromarray(pixels).convert("CMYK")))


def signed(photo: bytes, name: str) -> bytes:
    """Returns the JPEG with `name` as a comment, so no two members are equal."""
    text = name.encode()
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    return photo[:2] + comment + photo[2:]


def _photo(rng: np.random.Generator, size: int) -> bytes:
    """Returns a JPEG of roughly `size` bytes, found from a probe's bytes a pixel."""
    detail = float(rng.uniform(8, 24))
    probe = _jpeg(Image.fromarray(_pixels(rng, _PROBE_PIXELS, _PROBE_PIXELS, detail)))
    pixels = size / (len(probe) / _PROBE_PIXELS**2)
    aspect = float(rng.choice([4 / 3, 3 / 4, 3 / 2, 1.0]))
    width, height = round((pixels * aspect) ** 0.5), round((pixels / aspect) ** 0.5)
    return _jpeg(Image.fromarray(_pixels(rng, width, height, detail)))


def _pixels(
    rng: np.random.Generator, width: int, height: int, detail: float
) -> np.ndarray:
    """Returns smooth colours with noise of `detail` grey levels on top."""
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.normal(0, detail, (height, width, 1))
    return np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
