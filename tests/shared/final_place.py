"""The final directory of a build, and datasets to put there."""

from __future__ import annotations

import itertools
import os
import pathlib
import shutil

from etils import epath

from imagenet2012_subset.prepared.dataset import open_dataset
from imagenet2012_subset.prepared.provenance import Provenance, ensure_same
from imagenet2012_subset.tfds_internals import FileFormat
from imagenet2012_subset.write.prepare import prepare

# By the number of shards of the training split, and the format.
_datasets: dict[tuple[int, FileFormat], pathlib.Path] = {}


def names_in(folder: pathlib.Path) -> list[str]:
    """Returns what is in a directory, except for the lock of a dataset."""
    names = os.listdir(folder) if folder.exists() else []
    return sorted(name for name in names if name != ".5.0.0.lock")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Place:
    """A final directory, and datasets of the same content with different shards.

    Attributes:
      path: the final place.
    """

    def __init__(self, build, folder: pathlib.Path, tmp_path_factory):
        """Starts with an empty place; the datasets are built once for all tests."""
        if not _datasets:
            keys = [(number, FileFormat.TFRECORD) for number in (1, 2, 3)]
            for number, file_format in [*keys, (2, FileFormat.ARRAY_RECORD)]:
                builder = build(
                    data_dir=tmp_path_factory.mktemp("dataset"),
                    num_shards=number,
                    file_format=file_format.value,
                )
                _datasets[number, file_format] = pathlib.Path(builder.data_path)
        self._data_dirs = (folder / f"data_{i}" for i in itertools.count())
        self.new_place()

    def new_place(self, holds: int | None = None) -> None:
        """Goes on with another final place, which has a dataset or none."""
        data_dir = epath.Path(next(self._data_dirs))
        self.path = data_dir / "imagenet2012_subset" / "small" / "5.0.0"
        if holds:
            shutil.copytree(_datasets[holds, FileFormat.TFRECORD], self.path)

    def prepare(
        self,
        number: int,
        *,
        overwrite: bool = False,
        file_format: FileFormat = FileFormat.TFRECORD,
    ) -> None:
        """Does the last step with the dataset that has `number` shards."""
        dataset = _datasets[number, file_format]
        requested = Provenance.of(open_dataset(epath.Path(dataset)))

        def ensure_requested(found):
            ensure_same(requested, Provenance.of(found), found.folder)

        def build(data_dir, num_shards):
            del num_shards
            built = data_dir.joinpath(*self.path.parts[-3:])
            shutil.copytree(dataset, built)
            return built

        prepare(self.path, file_format, ensure_requested, build, overwrite=overwrite)

    def holds(self) -> int | None:
        """Returns which dataset is there, whole; the test fails if one is not whole."""
        if not os.path.lexists(self.path):
            return None
        there = contents(self.path)
        (number,) = [
            number
            for (number, _), dataset in _datasets.items()
            if contents(dataset) == there
        ]
        return number

    def beside(self) -> list[str]:
        """Returns what else is beside the final place."""
        names = names_in(self.path.parent)
        return [name for name in names if name != self.path.name]
