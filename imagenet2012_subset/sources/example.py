"""Parses the records of `imagenet2012`: serialized `tf.train.Example` messages.

An example is a map from names to features, in an order that differs between records.
Each level is a field: a tag, the length of its content, and the content.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, Original

_VARINT = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_EXAMPLE = re.compile(rb"\x0a(" + _VARINT + rb")")  # Example.features
_FEATURE = re.compile(
    rb"\x0a(" + _VARINT + rb")"  # Features.feature: an entry of the map
    + rb"\x0a(\x09file_name|\x05image|\x05label)"  # its key, after its length
    + rb"\x12" + _VARINT  # its value, a Feature
    + rb"([\x0a\x1a])" + _VARINT  # Feature.bytes_list or Feature.int64_list
    + rb"\x0a(" + _VARINT + rb")"  # what this list contains
)  # fmt: skip
_FILE_NAME, _IMAGE, _LABEL = b"\x09file_name", b"\x05image", b"\x05label"
_INT64_LIST = b"\x1a"
_MAX_VALUE = 32  # The longest name or label, in bytes.

# No feature without an image's bytes is longer, in bytes.
MAX_FEATURE = 80

OTHER_FEATURES = "does not contain file_name, image and label"

LabelOf = Callable[[bytes], "int | None"]
"""Returns the label of an image's name; None for an unknown name."""


class RecordError(Exception):
    """A record is damaged; the message continues "this record ..."."""


class Example:
    """The features of one record, as far as they are parsed.

    Attributes:
      name: the image's file name.
      label: its class.
      offset: of the image's first byte, in bytes.
      size: the image's length in bytes.
    """

    __slots__ = ("label", "name", "offset", "size")

    def __init__(self) -> None:
        self.name = b""
        self.label = self.offset = self.size = -1

    def parse_feature(self, data: bytes, at: int, start: int = 0) -> int:
        """Parses a feature; of the image, only the part before its bytes.

        Args:
          data: a part of a file.
          at: the position of the feature in `data`.
          start: the position of `data` in the file.

        Returns:
          The end of the feature in `data`, which may be past the end of `data`.

        Raises:
          RecordError: if it is not one of the three features, or was parsed before.
        """
        if not (match := _FEATURE.match(data, at)):
            raise RecordError(OTHER_FEATURES)
        length, key, kind, value_length = match.groups()
        value, size = match.end(), _number(value_length)
        end = value + size
        ends_together = end == match.end(1) + _number(length)
        if not ends_together or (kind == _INT64_LIST) != (key == _LABEL):
            raise RecordError(OTHER_FEATURES)
        if key == _IMAGE and self.size < 0:
            self.offset, self.size = start + value, size
        elif size > _MAX_VALUE or end > len(data):
            raise RecordError(OTHER_FEATURES)
        elif key == _FILE_NAME and not self.name:
            self.name = data[value:end]
        elif key == _LABEL and self.label < 0:
            self.label = _number(data[value:end])
        else:
            raise RecordError(OTHER_FEATURES)
        return end

    def check(self, label_of: LabelOf) -> None:
        """Checks that nothing is missing, and that name and label agree.

        Raises:
          RecordError: if something is missing, or they disagree.
        """
        if not self.name or self.label < 0 or self.size < 0:
            raise RecordError(OTHER_FEATURES)
        label = label_of(self.name)
        if label == self.label:
            return
        name = self.name.decode(errors="replace")
        if label is None:
            raise RecordError(f"contains {name}, which is not an image of this split")
        raise RecordError(
            f"labels {name} as class {self.label}, but it belongs to class {label}"
        )


def parse_example(data: bytes, start: int, end: int, label_of: LabelOf) -> Example:
    """Parses a whole record, which is from `start` to `end` in `data`.

    Raises:
      RecordError: if it is not an example of the split.
    """
    example = Example()
    at = first_feature(data, start, end)
    while at < end:
        at = example.parse_feature(data, at)
    if at > end:
        raise RecordError(OTHER_FEATURES)
    example.check(label_of)
    return example


def first_feature(data: bytes, at: int, end: int) -> int:
    """Returns the position of the first feature of a record from `at` to `end`.

    Raises:
      RecordError: if no example of this length starts there.
    """
    match = _EXAMPLE.match(data, at)
    if not match or match.end() + _number(match[1]) != end:
        raise RecordError(OTHER_FEATURES)
    return match.end()


@functools.cache
def label_function(original: Original) -> LabelOf:
    """Returns a function that maps the names of a split's images to labels."""
    rank = {wnid: rank for rank, wnid in enumerate(names.wnids())}
    if original == TRAINING:
        by_wnid = {wnid.encode(): label for wnid, label in rank.items()}
        return lambda name: by_wnid.get(name[:9]) if name.isascii() else None
    return {
        names.validation_name(number).encode(): rank[wnid]
        for number, wnid in enumerate(names.validation_wnids(), start=1)
    }.get


def _number(varint: bytes) -> int:
    """Decodes a protobuf varint: seven bits a byte, the lowest first."""
    if len(varint) == 1:
        return varint[0]
    number = 0
    for byte in reversed(varint):
        number = number << 7 | byte & 0x7F
    return number
