"""`check DATASET`: records that are wrong, and archives that differ from them."""

import pathlib

import pytest
import tensorflow as tf

from imagenet2012_subset.__main__ import main
from tests.shared.checks import Checked, run_check


@pytest.fixture
def dataset(build) -> pathlib.Path:
    """A dataset in three shards a split."""
    return pathlib.Path(build(num_shards=3).data_path)


@pytest.fixture
def check(capsys):
    """Checks a dataset that is to have five validation images."""

    def check_small(*arguments: object) -> Checked:
        return run_check(capsys, "--validation_images", 5, *arguments)

    return check_small


def _shards(dataset: pathlib.Path, split: str) -> list[pathlib.Path]:
    return sorted(dataset.glob(f"imagenet2012_subset-{split}.*"))


@pytest.mark.parametrize("wrong_number", ["0", "50001", "many"])
def test_a_number_of_images_that_cannot_be(dataset, capsys, wrong_number):
    with pytest.raises(SystemExit) as caught:
        main(["check", str(dataset), "--validation_images", wrong_number])
    assert caught.value.code == 2


def test_the_archive_is_damaged_not_the_dataset(dataset, small_data, check):
    name, data = small_data.training["n01440764"][0]
    path = small_data.manual_dir / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes().replace(data, bytes(len(data))))
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    assert set(wrong) == {"ILSVRC2012_img_train.tar"}
    assert name in wrong["ILSVRC2012_img_train.tar"][0]


def test_the_archive_lacks_images_of_the_dataset(dataset, small_data, check):
    del small_data.training["n01443537"]
    small_data.validation.pop()
    small_data.write()
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    assert wrong["train"][0].startswith("2 images that ILSVRC2012_img_train.tar lacks")
    assert wrong["validation"][0].startswith(
        "1 images that ILSVRC2012_img_val.tar lacks"
    )


def test_the_archives_are_not_there(dataset, check, tmp_path):
    (tmp_path / "empty").mkdir()
    wrong = check(dataset, "--manual_dir", tmp_path / "empty").wrong
    assert set(wrong) == {"ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"}


def _rewrite(shard: pathlib.Path, change) -> None:
    records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in change(records):
            writer.write(record)


def test_an_image_twice_in_place_of_another_is_noticed(dataset, small_data, check):
    shard = _shards(dataset, "train")[0]
    _rewrite(shard, lambda records: [records[0], records[0]])
    given = ("--subset_list", small_data.subset_list)
    missing, twice = sorted(check(dataset, *given).wrong["train"])
    assert missing.startswith("1 images missing")
    assert twice.startswith("1 images more than once")


def test_a_label_past_the_last_class_is_noticed(dataset, check):
    def relabelled(records):
        example = tf.train.Example.FromString(records[0])
        example.features.feature["label"].int64_list.value[0] = 1000
        return [example.SerializeToString(), *records[1:]]

    _rewrite(_shards(dataset, "train")[0], relabelled)
    (message,) = check(dataset).wrong["train"]
    assert message.startswith("1 wrong labels")
    assert "not label 1000" in message


@pytest.mark.parametrize("name", ["holiday.JPEG", "n99999999_1.JPEG", ""])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_name_that_no_image_has_is_a_finding_and_not_the_end(
    dataset, small_data, check, split, name
):
    def renamed(records):
        example = tf.train.Example.FromString(records[0])
        example.features.feature["file_name"].bytes_list.value[0] = name.encode()
        return [example.SerializeToString(), *records[1:]]

    _rewrite(_shards(dataset, split)[0], renamed)
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    assert set(wrong) == {split}
    missing, foreign = sorted(wrong[split])
    assert missing.startswith("1 images missing (")
    assert foreign.startswith(f"1 images that do not belong here ({name})")
