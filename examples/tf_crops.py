"""Crops of encoded images by TensorFlow, to be mapped over a `tf.data.Dataset`."""

from __future__ import annotations

import tensorflow as tf


def random_window(shape: tf.Tensor) -> tf.Tensor:
    """Returns top, left, height and width of 8% to 100% of an image's area."""
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        shape,
        bounding_boxes=tf.zeros([1, 0, 4]),
        use_image_if_no_bounding_boxes=True,
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        max_attempts=10,
    )
    return tf.concat([begin[:2], extent[:2]], axis=0)


def random_crop(jpeg: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes a random window of an image, resized and perhaps mirrored.

    Returns:
      float32 of shape (size, size, 3), from 0 to 255.
    """
    window = random_window(tf.image.extract_jpeg_shape(jpeg))
    image = tf.image.decode_and_crop_jpeg(jpeg, window, channels=3)
    return tf.image.random_flip_left_right(tf.image.resize(image, (size, size)))


def random_crop_of_decoded(image: tf.Tensor, size: int) -> tf.Tensor:
    """Does the same as `random_crop` for a decoded image."""
    top, left, height, width = tf.unstack(random_window(tf.shape(image)))
    image = image[top : top + height, left : left + width]
    return tf.image.random_flip_left_right(tf.image.resize(image, (size, size)))


def decode_small(jpeg: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes an image, its shorter side no longer than 8/7 of `size`, as uint8."""
    image = tf.image.decode_jpeg(jpeg, channels=3)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    sides *= tf.minimum(1.0, size * 8 / 7 / tf.reduce_min(sides))
    small = tf.image.resize(image, tf.cast(tf.round(sides), tf.int32), antialias=True)
    return tf.saturate_cast(tf.round(small), tf.uint8)


def central_crop(jpeg: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes the central square, 7/8 of the shorter side long, and resizes it."""
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(jpeg))
    side = tf.minimum(height, width) * 7 // 8
    window = tf.stack([(height - side) // 2, (width - side) // 2, side, side])
    image = tf.image.decode_and_crop_jpeg(jpeg, window, channels=3)
    return tf.ensure_shape(tf.image.resize(image, (size, size)), (size, size, 3))
