"""What the life of a dataset takes from TFDS."""

import inspect

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import tfds_internals
from imagenet2012_subset.prepared.dataset import open_dataset


def _parameters(function):
    return list(inspect.signature(function).parameters)


def test_infos_are_read_and_written_as_they_are(build, tmp_path):
    folder = build(num_shards=2).data_path
    info = open_dataset(folder).info
    assert [list(split.shard_lengths) for split in info.splits] == [[3, 3], [2, 3]]
    tfds_internals.write_info_file(info, tmp_path)
    written = (tmp_path / "dataset_info.json").read_text()
    assert written == (folder / "dataset_info.json").read_text()


def test_the_default_config_is_saved(tmp_path):
    tfds_internals.save_default_config_name(
        tfds.core.Path(tmp_path), default_config_name="1pct"
    )
    assert "1pct" in (tmp_path / ".config" / "metadata.json").read_text()


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_log_download_bytes", ["self"]),
        ("_log_download_done", ["self"]),
        ("_update_dataset_info", ["self"]),
    ],
)
def test_methods_take_what_we_give(method, parameters):
    assert _parameters(getattr(tfds.core.DatasetBuilder, method)) == parameters


def test_the_state_that_is_pickled_is_what_makes_a_builder(build):
    state = build()._original_state
    assert {"data_dir", "config", "version", "file_format", "workers"} == {*state}


def test_a_format_can_be_changed_once_the_info_is_read():
    assert _parameters(tfds.core.DatasetInfo.set_file_format)[1:] == [
        "file_format",
        "override",
        "override_if_initialized",
    ]
