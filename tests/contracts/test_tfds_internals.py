"""What the package uses of TFDS's internals, and what it expects of them."""

from __future__ import annotations

import inspect

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.imagenet2012 import (
    imagenet2012_dataset_builder as imagenet,
)

from imagenet2012_subset import tfds_internals
from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.prepared.dataset import open_dataset

_BUILDER = tfds.core.GeneratorBasedBuilder
_REGISTERED = tfds_internals.registered


@pytest.mark.parametrize("method", tfds_internals.BUILDER_METHODS)
def test_builder_has_method(method):
    assert inspect.getattr_static(_BUILDER, method)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (_BUILDER._generate_splits, "self dl_manager download_config"),
        (_BUILDER._get_filename_template, "self split_name"),
        (_BUILDER._log_download_bytes, "self"),
        (_BUILDER._log_download_done, "self"),
        (_BUILDER._update_dataset_info, "self"),
        (tfds_internals.ExampleWriter.write, "self path examples"),
        (_REGISTERED.add_dataset_builder_provider, "provider index"),
        (
            tfds.core.DatasetInfo.set_file_format,
            "self file_format override override_if_initialized",
        ),
    ],
)
def test_functions_take_the_parameters_that_we_pass(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters.split()


def test_builder_has_the_attributes_that_ours_sets(tmp_path):
    attributes = vars(imagenet.Builder(data_dir=tmp_path))
    assert {"_data_dir", "_data_dir_root", "_original_state"} <= attributes.keys()


def test_size_writes_bytes_as_tfds_does():
    assert str(tfds_internals.Size(2**30)) == "1.00 GiB"


def test_hasher_is_the_one_that_orders_published_datasets():
    assert tfds_internals.Hasher("train").hash_key("n01440764_2.JPEG") == int(
        "78c9fd6e79a2f6daf7fcf2f3ef172ff1", 16
    )


def test_shard_config_computes_with_its_class():
    class Small(tfds_internals.ShardConfig):
        min_shard_size = 1 << 10
        max_shard_size = 1 << 20

    assert Small.calculate_number_shards(1 << 20, 100_000) == 1024
    assert tfds_internals.ShardConfig.calculate_number_shards(1 << 20, 100_000) == 1


def test_shard_boundaries_are_nearly_equal():
    assert list(tfds_internals.get_shard_boundaries(10, 4)) == [2, 5, 8, 10]


def test_index_files_are_beside_their_shards(tmp_path):
    path = tfds_internals.index_file_path(str(tmp_path / "x.riegeli-00000-of-00001"))
    tfds_internals.write_index_file(path, [0, 17])
    assert path.endswith("-of-00001_index.json")
    assert (tmp_path / "x.riegeli-00000-of-00001_index.json").exists()


def test_registry_has_the_parts_that_registration_uses():
    assert isinstance(_REGISTERED._DATASET_PROVIDER_REGISTRY, list)
    assert _REGISTERED._MODULE_TO_DATASETS is not None


def test_tqdm_obeys_disable_progress_bar():
    tfds.disable_progress_bar()
    with tfds_internals.tqdm(total=1) as bar:
        assert type(bar).__name__ == "EmptyTqdm"


def test_example_is_a_copy_of_the_one_of_tensorflow():
    ours, theirs = tfds_internals.Example(), tf.train.Example()
    for example in (ours, theirs):
        feature = example.features.feature
        feature["image"].bytes_list.value.append(b"jpeg")
        feature["label"].int64_list.value.append(7)
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
        deterministic=True
    )


def test_builder_looks_itself_up_by_the_method_that_is_switched_off():
    source = inspect.getsource(tfds.core.DatasetBuilder.__init__)
    assert "self.info.initialize_from_bucket()" in source


def test_names_of_files():
    assert tfds_internals.CHECKSUMS_FILENAME == "checksums.tsv"
    assert tfds_internals.INCOMPLETE_PREFIX == "incomplete."
    assert tfds_internals.FileFormat.PARQUET.value == "parquet"


def test_infos_are_read_and_written_unchanged(build, tmp_path):
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


def test_the_pickled_state_has_the_arguments_of_a_builder(build):
    state = build()._original_state
    assert {"data_dir", "config", "version", "file_format", "workers"} == {*state}


def test_imagenet2012_converts_the_same_images():
    assert sorted(imagenet.CMYK_IMAGES) == sorted(jpeg.CMYK_IMAGES)
    assert sorted(imagenet.PNG_IMAGES) == sorted(jpeg.PNG_IMAGES)
