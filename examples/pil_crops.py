"""Crops of encoded images by Pillow, for what loads data without TensorFlow."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageOps


def random_crop(jpeg: bytes, size: int, rng: np.random.Generator) -> np.ndarray:
    """Crops 8% to 100% of an image's area, resized and perhaps mirrored.

    Returns:
      uint8 of shape (size, size, 3).
    """
    with Image.open(io.BytesIO(jpeg)) as image:
        crop = _resized(image, _random_box(*image.size, rng), size)
    return np.array(ImageOps.mirror(crop) if rng.random() < 0.5 else crop)


def central_crop(jpeg: bytes, size: int) -> np.ndarray:
    """Crops the central square, 7/8 of the shorter side long, and resizes it.

    Returns:
      uint8 of shape (size, size, 3).
    """
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.array(_resized(image, _central_box(*image.size), size))


def _resized(
    image: Image.Image, box: tuple[float, float, float, float], size: int
) -> Image.Image:
    return image.resize((size, size), Image.Resampling.BILINEAR, box).convert("RGB")


def _random_box(
    width: int, height: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    return _central_box(width, height)


def _central_box(width: int, height: int) -> tuple[float, float, float, float]:
    side = min(width, height) * 7 / 8
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
