"""Compares two prepared datasets.

    python -m benchmarks.measure.equality DIR_A DIR_B

TFDS's own files differ between builds, because protobuf writes a record's features in
an order that differs between processes. So records and JSON files are parsed first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_INFO_NAME = "dataset_info.json"
_BUFFER = 4 << 20
_SHOWN = 200  # Characters of a value in a message.


def compare_datasets(
    dir_a: pathlib.Path, dir_b: pathlib.Path, ignored: Sequence[str] = ()
) -> int:
    """Compares two folders of prepared TFRecord datasets, in little memory.

    Compared are the files' names, the features, the label names, each split's
    `shardLengths` and `numBytes`, and all records in their order.

    Args:
      dir_a: One dataset's folder.
      dir_b: The other's.
      ignored: Names of files that only one of them may have.

    Returns:
      The number of records.

    Raises:
      AssertionError: If anything differs; the message names the first difference.
    """
    files_a, files_b = (
        sorted(p.name for p in folder.iterdir() if p.name not in ignored)
        for folder in (dir_a, dir_b)
    )
    _check_equal("file names", files_a, files_b)
    _check_equal(
        "features.json", _json(dir_a / "features.json"), _json(dir_b / "features.json")
    )
    for name in (name for name in files_a if name.endswith(".labels.txt")):
        _check_equal(name, (dir_a / name).read_bytes(), (dir_b / name).read_bytes())
    splits_a, splits_b = _splits(dir_a), _splits(dir_b)
    _check_equal("splits", splits_a, splits_b)

    counts = [
        _compare_shards(dir_a / name, dir_b / name)
        for name in files_a
        if ".tfrecord-" in name
    ]
    lengths = [
        int(n) for split in sorted(splits_a) for n in splits_a[split]["shardLengths"]
    ]
    _check_equal("shardLengths and records in the shards", lengths, counts)
    return sum(counts)


def _compare_shards(path_a: pathlib.Path, path_b: pathlib.Path) -> int:
    """Returns the number of records, which are the same in both shards."""
    shards = (
        tf.data.TFRecordDataset(str(path), buffer_size=_BUFFER).as_numpy_iterator()
        for path in (path_a, path_b)
    )
    index = -1
    for index, (a, b) in enumerate(itertools.zip_longest(*shards)):
        where = f"record {index} of {path_a.name}"
        assert None not in (a, b), f"{where} is in one dataset only"
        if a != b:
            _check_equal(where, _features(a), _features(b))
    return index + 1


def _features(record: bytes) -> dict[str, bytes]:
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: features[name].SerializeToString(deterministic=True) for name in features
    }


def _splits(folder: pathlib.Path) -> dict[str, Any]:
    return {split["name"]: split for split in _json(folder / _INFO_NAME)["splits"]}


def _json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text())


def _check_equal(what: str, a: Any, b: Any) -> None:
    if a == b:
        return
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            _check_equal(f"{what}: {key}", a.get(key), b.get(key))
    raise AssertionError(f"{what}: {_short(a)} != {_short(b)}")


def _short(value: Any) -> str:
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}… ({len(text):,} characters)"


def main() -> int:
    """Prints the number of equal records, or what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir_a", type=pathlib.Path)
    parser.add_argument("dir_b", type=pathlib.Path)
    parser.add_argument("--ignore", nargs="+", default=(), help="Names of files.")
    args = parser.parse_args()
    try:
        num_records = compare_datasets(args.dir_a, args.dir_b, args.ignore)
        print(f"equal: {num_records:,} records")
    except AssertionError as difference:
        print(f"DIFFERENT: {difference}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
