"""What benchmarks turn off changes how long a build takes, not what it makes."""

import pathlib
from unittest import mock

import pytest

from benchmarks.measure.mechanisms import MECHANISMS


def _shards(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord-*")}


@pytest.mark.parametrize("name", MECHANISMS)
def test_same_shards_without(name, build, tmp_path):
    with_it = build(data_dir=tmp_path / "with", num_shards=2)
    MECHANISMS[name].turn_off()
    try:
        without_it = build(data_dir=tmp_path / "without", num_shards=2)
    finally:
        mock.patch.stopall()
    shards = _shards(pathlib.Path(without_it.data_path))
    assert len(shards) == 4
    assert shards == _shards(pathlib.Path(with_it.data_path))
