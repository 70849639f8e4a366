"""`python -m imagenet2012_subset check`."""

import dataclasses
import hashlib
import json
import pathlib
import shutil

import pytest
import tensorflow as tf
from etils import epath

from imagenet2012_subset import Builder
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.check.dataset import check_dataset
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.subset.subset_list import PUBLISHED_FINGERPRINTS, fingerprint
from tests.shared import archives, tfds_builder


def _wrong(report):
    return [finding for finding in report.findings if not finding.ok]


def test_manual_dir_as_text(small_data, capsys):
    assert main(["check", str(small_data.manual_dir)]) == 1
    printed = capsys.readouterr().out
    assert "12 of 1,281,167 images in 3 of 1,000 synsets" in printed
    assert "lacks 49,995 of 50,000 images" in printed
    assert TRAINING.how_to_get in printed


def test_manual_dir_as_json(small_data, capsys):
    assert main(["check", "--json", str(small_data.manual_dir)]) == 1
    report = json.loads(capsys.readouterr().out)
    training, validation = report["findings"]
    assert not report["ok"]
    assert training["facts"]["images_per_synset"]["n01443537"] == 4
    assert len(training["facts"]["images_per_synset"]) == 1000
    assert training["facts"]["original_size"] == 147_897_477_120
    assert validation["facts"]["images"] == 5


def test_manual_dir_without_an_archive(small_data, capsys):
    (small_data.manual_dir / VALIDATION.file_name).unlink()
    assert main(["check", str(small_data.manual_dir)]) == 1
    assert "ILSVRC2012_img_val.tar: does not exist" in capsys.readouterr().out


def test_sha256(small_data, capsys):
    assert main(["check", "--sha256", "--json", str(small_data.manual_dir)]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    hashed = {
        f["subject"]: f["facts"]["sha256"] for f in findings if "sha256" in f["facts"]
    }
    for name, digest in hashed.items():
        data = (small_data.manual_dir / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
    assert len(hashed) == 2


def test_complete_archives_are_all_well(small_data, monkeypatch, capsys):
    monkeypatch.setattr(names, "wnids", lambda: tuple(small_data.training))
    for name, original, num_images in (
        ("TRAINING", TRAINING, 12),
        ("VALIDATION", VALIDATION, 5),
    ):
        path = small_data.manual_dir / original.file_name
        facts = dataclasses.replace(
            original,
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            num_images=num_images,
        )
        monkeypatch.setattr(f"imagenet2012_subset.check.archives.{name}", facts)
    assert main(["check", "--sha256", str(small_data.manual_dir)]) == 0
    printed = capsys.readouterr().out
    assert "all well" in printed
    assert "12 of 12 images in 3 of 3 synsets" in printed
    assert "sha256 as the original's" in printed


def test_the_index_is_kept_for_the_build(small_data, tmp_path, capsys):
    data_dir = tmp_path / "data"
    main(["check", str(small_data.manual_dir), "--data_dir", str(data_dir)])
    assert len(list((data_dir / "downloads").rglob("*.index.npz"))) == 2


def _check(folder, small_data, **options):
    return check_dataset(
        epath.Path(folder), small_data.listed, num_validation=5, **options
    )


@pytest.fixture
def as_published(small_data, monkeypatch):
    """Lets the small list be the one that is published for `1pct`."""
    sha256 = fingerprint(small_data.listed)
    monkeypatch.setitem(PUBLISHED_FINGERPRINTS, "1pct", sha256)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_a_right_dataset(build, small_data, file_format):
    built = build(file_format=file_format)
    report = _check(
        built.data_path, small_data, manual_dir=epath.Path(small_data.manual_dir)
    )
    assert report.ok, report.to_text()
    assert "6 records" in report.to_text()
    assert "their bytes those of the archive" in report.to_text()


def test_tfds_own_right_dataset(small_data, tmp_path, as_published):
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    assert _check(built.data_path, small_data).ok


def test_tfds_mislabelled_dataset_is_caught(small_data, tmp_path, as_published):
    # Image 2 is missing, so TFDS gives all later ones their neighbour's label.
    small_data.validation = [
        (name, data) for name, data in small_data.validation if "00000002" not in name
    ]
    small_data.write()
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    messages = {
        f.facts["kind"]: f.message for f in _wrong(_check(built.data_path, small_data))
    }
    assert set(messages) == {"wrong labels", "images missing"}
    assert messages["wrong labels"].startswith("3 wrong labels")
    assert "ILSVRC2012_val_00000002.JPEG" in messages["images missing"]


def test_another_list_is_noticed(build, small_data):
    listed = small_data.listed
    other = [*listed[1:], "n01440764_2.JPEG"]
    report = check_dataset(epath.Path(build().data_path), other, num_validation=5)
    (given, *others) = _wrong(report)
    assert "not the one that the dataset was built from" in given.message
    kinds = {finding.facts["kind"] for finding in others}
    assert kinds == {"images missing", "images that do not belong here"}


def test_a_flipped_bit_is_noticed(build, small_data):
    built = build()
    (shard,) = pathlib.Path(built.data_dir).glob("*train.tfrecord*")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    (finding, *_) = _wrong(_check(built.data_path, small_data))
    assert finding.subject == "train"
    assert "cannot be read" in finding.message


def test_a_missing_shard_is_noticed(build, small_data):
    built = build()
    next(pathlib.Path(built.data_dir).glob("*validation.tfrecord*")).unlink()
    assert {f.subject for f in _wrong(_check(built.data_path, small_data))} == {
        "validation"
    }


def test_other_image_bytes_are_noticed(build, small_data):
    built = build()
    wnid = next(iter(small_data.training))
    small_data.training[wnid][0] = (
        small_data.training[wnid][0][0],
        archives.jpeg(4711),
    )
    small_data.write()
    archive_folder = epath.Path(small_data.manual_dir)
    (finding,) = _wrong(_check(built.data_path, small_data, manual_dir=archive_folder))
    assert finding.message.startswith("1 images with other bytes than the archive")


def test_a_defective_image_is_noticed(build, small_data):
    built = build()
    (shard,) = pathlib.Path(built.data_dir).glob("*train.tfrecord*")
    records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
    first = tf.train.Example.FromString(records[0])
    first.features.feature["image"].bytes_list.value[0] = b"no image"
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in [first.SerializeToString(), *records[1:]]:
            writer.write(record)
    (finding,) = _wrong(_check(built.data_path, small_data))
    assert "defective images" in finding.message


def test_prepared_dataset_from_the_command_line(build, small_data, capsys):
    built = build()
    arguments = ["check", built.data_dir, "--validation_images", "5"]
    assert main(arguments) == 0
    assert "all well" in capsys.readouterr().out
    assert main([*arguments, "--subset_list", str(small_data.subset_list)]) == 0
    (pathlib.Path(built.data_dir) / "metadata.json").unlink()
    assert main(arguments) == 1
    assert "Give its list as --subset_list" in capsys.readouterr().out


def test_the_list_of_a_published_config_is_found(real_data, tmp_path, capsys, build):
    # The small dataset under the name 1pct lacks nearly everything of it.
    built = build()
    folder = tmp_path / "data" / "imagenet2012_subset" / "1pct" / "5.0.0"
    shutil.copytree(built.data_dir, folder)
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"small"', '"1pct"'))
    lists = tmp_path / "lists"
    shutil.copytree(real_data / "lists", lists)
    assert main(["check", str(folder), "--manual_dir", str(lists)]) == 1
    printed = capsys.readouterr().out
    assert "images missing" in printed
    assert "49,995 images missing" in printed
    assert Builder.builder_configs["1pct"].training_images == 12_811
