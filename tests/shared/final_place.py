"""The final directory of a build, and datasets to put there."""

from __future__ import annotations

import os
import pathlib
import shutil

from etils import epath

from imagenet2012_subset.prepared.dataset import open_dataset
from imagenet2012_subset.prepared.provenance import Provenance, ensure_same
from imagenet2012_subset.tfds_internals import FileFormat
from imagenet2012_subset.write.prepare import prepare

_Datasets = dict[tuple[int, FileFormat], pathlib.Path]

# By the number of shards of the training split, and the format.
_datasets: _Datasets = {}


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

    @classmethod
    def of(cls, build, folder: pathlib.Path, tmp_path_factory) -> Place:
        """Makes a place; the datasets are built once for all tests."""
        if not _datasets:
            built_in = tmp_path_factory.mktemp("datasets")
            for number in (1, 2, 3):
                for file_format in FileFormat.TFRECORD, FileFormat.ARRAY_RECORD:
                    builder = build(
                        data_dir=built_in / file_format.value / str(number),
                        num_shards=number,
                        file_format=file_format.value,
                    )
                    key = (number, file_format)
                    _datasets[key] = pathlib.Path(builder.data_path)
        return cls(_datasets, folder)

    def __init__(self, datasets: _Datasets, folder: pathlib.Path):
        self._datasets = datasets
        self._folder = folder
        self._count = 0
        self.new_place()

    def new_place(self, holds: int | None = None) -> None:
        """Goes on with another final place, which has a dataset or none."""
        self._count += 1
        data_dir = self._folder / f"data_{self._count}"
        self.path = epath.Path(data_dir / "imagenet2012_subset" / "small" / "5.0.0")
        if holds:
            shutil.copytree(self._datasets[holds, FileFormat.TFRECORD], self.path)

    def prepare(
        self,
        number: int,
        *,
        overwrite: bool = False,
        file_format: FileFormat = FileFormat.TFRECORD,
    ) -> None:
        """Does the last step with the dataset that has `number` shards."""
        dataset = self._datasets[number, file_format]
        requested = Provenance.of(open_dataset(epath.Path(dataset)))

        def ensure_requested(found):
            ensure_same(requested, Provenance.of(found), found.folder)

        def build(data_dir, num_shards):
            del num_shards
            return self.copy(number, data_dir, file_format)

        prepare(self.path, file_format, ensure_requested, build, overwrite=overwrite)

    def copy(
        self,
        number: int,
        data_dir: epath.Path,
        file_format: FileFormat = FileFormat.TFRECORD,
    ) -> epath.Path:
        """Puts a dataset where a build with this `data_dir` has it."""
        built = data_dir.joinpath(*self.path.parts[-3:])
        shutil.copytree(self._datasets[number, file_format], built)
        return built

    def holds(self) -> int | None:
        """Returns which dataset is there, whole; the test fails if one is not whole."""
        if not os.path.lexists(self.path):
            return None
        there = contents(pathlib.Path(self.path))
        (number,) = [
            number
            for (number, _), dataset in self._datasets.items()
            if contents(dataset) == there
        ]
        return number

    def beside(self) -> list[str]:
        """Returns what else is beside the final place."""
        names = names_in(pathlib.Path(self.path.parent))
        return [name for name in names if name != self.path.name]
