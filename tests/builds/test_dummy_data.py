"""TFDS's own test of a builder, on the dummy data."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from tests.conftest import DUMMY_DATA

_FILES = (
    "ILSVRC2012_img_train.tar",
    "ILSVRC2012_img_val.tar",
    "1percent.txt",
    "10percent.txt",
)


class _DummyDataTestCase(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = imagenet2012_subset.Builder

    @classmethod
    def setUpClass(cls):
        # TFDS's test also uses the dummy data as the download directory.
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        for name in _FILES:
            shutil.copy(DUMMY_DATA / name, cls.EXAMPLE_DIR)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)

    def setUp(self):
        super().setUp()
        (config_name,) = self.BUILDER_CONFIG_NAMES_TO_TEST
        config = self.builder.builder_configs[config_name]
        patcher = mock.patch.multiple(
            config,
            training_images=self.SPLITS["train"],
            validation_images=self.SPLITS["validation"],
        )
        patcher.start()
        self.patchers.append(patcher)


class OnePercentTest(_DummyDataTestCase):
    BUILDER_CONFIG_NAMES_TO_TEST = ("1pct",)
    DL_DOWNLOAD_RESULT = "1percent.txt"
    SPLITS = {"train": 24, "validation": 10}


@pytest.mark.usefixtures("converted_here")
class TenPercentTest(_DummyDataTestCase):
    BUILDER_CONFIG_NAMES_TO_TEST = ("10pct",)
    DL_DOWNLOAD_RESULT = "10percent.txt"
    SPLITS = {"train": 39, "validation": 10}


del _DummyDataTestCase


def test_script_makes_the_same_bytes(tmp_path: pathlib.Path):
    script = DUMMY_DATA / "make_dummy_data.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for name in _FILES:
        assert (tmp_path / name).read_bytes() == (DUMMY_DATA / name).read_bytes(), name


def test_dummy_data_is_small():
    assert sum(path.stat().st_size for path in DUMMY_DATA.iterdir()) < 1_000_000
