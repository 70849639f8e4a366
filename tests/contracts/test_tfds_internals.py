import inspect

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from imagenet2012_subset import tfds_internals


def _parameters(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("method", tfds_internals.BUILDER_METHODS)
def test_builder_has_method(method):
    assert inspect.getattr_static(tfds.core.GeneratorBasedBuilder, method)


def test_generate_splits_takes_what_we_take():
    assert _parameters(tfds.core.GeneratorBasedBuilder._generate_splits) == [
        "self",
        "dl_manager",
        "download_config",
    ]


def test_filename_template_takes_what_we_give():
    method = tfds.core.GeneratorBasedBuilder._get_filename_template
    assert _parameters(method) == ["self", "split_name"]


def test_example_writer_takes_what_we_give():
    assert _parameters(tfds_internals.ExampleWriter.write) == [
        "self",
        "path",
        "examples",
    ]


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


def test_index_files_stand_beside_their_shards(tmp_path):
    path = tfds_internals.index_file_path(str(tmp_path / "x.riegeli-00000-of-00001"))
    tfds_internals.write_index_file(path, [0, 17])
    assert path.endswith("-of-00001_index.json")
    assert (tmp_path / "x.riegeli-00000-of-00001_index.json").exists()


def test_registry_has_the_parts_that_registration_uses():
    registered = tfds_internals.registered
    assert _parameters(registered.add_dataset_builder_provider) == ["provider", "index"]
    assert isinstance(registered._DATASET_PROVIDER_REGISTRY, list)
    assert registered._MODULE_TO_DATASETS is not None


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
