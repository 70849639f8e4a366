"""Serializes records, and computes their length before images are read."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets as tfds

from imagenet2012_subset.tfds_internals import Example


class RecordSerializer:
    """Serializes examples as `tf.train.Example`, deterministically.

    TFDS's own serializer accepts any features, but copies each image several times, and
    blocks all other threads meanwhile.

    Raises:
      ValueError: if the features are not `file_name`, `image` and `label`.
    """

    def __init__(self, features: tfds.features.FeaturesDict):
        if sorted(features) != ["file_name", "image", "label"]:
            raise ValueError(
                f"records contain file_name, image and label, not {sorted(features)}"
            )
        self._features = features

    def serialize(self, example: dict[str, Any]) -> bytes:
        """Returns the record of one example."""
        encoded = self._features.encode_example(example)
        proto = Example()
        feature = proto.features.feature
        file_name = encoded["file_name"].item().encode()
        feature["file_name"].bytes_list.value.append(file_name)
        feature["image"].bytes_list.value.append(encoded["image"])
        feature["label"].int64_list.value.append(encoded["label"])
        # By default, protobuf writes a map in an order that differs between processes.
        record: bytes = proto.SerializeToString(deterministic=True)
        return record


def record_size(name: str, label: int, image_size: int) -> int:
    """Returns the length of a record in bytes.

    It follows from protobuf's wire format: every level of the messages `Example`,
    `Features`, `Feature`, `BytesList` and `Int64List` is a field with a one-byte tag,
    its length and its content.

    Args:
      name: the image's file name, ASCII.
      label: its class, 0 to 999.
      image_size: the length of the JPEG in bytes.
    """
    return _field(
        _feature("file_name", _field(len(name)))
        + _feature("image", _field(image_size))
        + _feature("label", _field(_varint(label)))
    )


def _feature(key: str, values: int) -> int:
    return _field(_field(len(key)) + _field(_field(values)))


def _field(content: int) -> int:
    return 1 + _varint(content) + content


def _varint(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))
