"""The same archives give the same bytes."""

import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig
from tests.conftest import DUMMY_DATA

_BUILD = """
import sys, tensorflow_datasets as tfds
from imagenet2012_subset import Builder, SubsetConfig
dummy_data, data_dir, workers = sys.argv[1:]
builder = Builder(
    config=SubsetConfig(
        name="dummy", description="Shapes.", validation_images=10,
        subset_list=f"{dummy_data}/10percent.txt",
    ),
    data_dir=data_dir,
    workers=int(workers),
)
builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=dummy_data, num_shards=5)
)
"""


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_any_number_of_workers_in_any_process(tmp_path):
    # An even number of processes could agree on protobuf's random order by chance.
    built = []
    for i, workers in enumerate(("1", "2", "8")):
        data_dir = tmp_path / str(i)
        arguments = [sys.executable, "-c", _BUILD, DUMMY_DATA, data_dir, workers]
        subprocess.run(arguments, check=True)
        built.append(_files(data_dir / "imagenet2012_subset" / "dummy" / "5.0.0"))
    assert len(built[0]) == 5 + 5 + 4
    assert built[1] == built[0]
    assert built[2] == built[0]


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_other_formats(tmp_path, file_format):
    built = []
    for workers in (1, 3):
        builder = imagenet2012_subset.Builder(
            config=SubsetConfig(
                name="dummy",
                subset_list=DUMMY_DATA / "10percent.txt",
                validation_images=10,
            ),
            data_dir=tmp_path / str(workers),
            workers=workers,
            file_format=file_format,
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=DUMMY_DATA, num_shards=3
            )
        )
        built.append(_files(pathlib.Path(builder.data_dir)))
    assert built[0] == built[1]
