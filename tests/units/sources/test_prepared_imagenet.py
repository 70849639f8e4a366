"""An imagenet2012 that TFDS prepared: what is found is what is read, or an error."""

import json
import os
import pathlib
import pickle
import random
import shutil
import tempfile
from unittest import mock

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.prepared_imagenet import (
    PreparedImagenet,
    prepared_versions,
)
from imagenet2012_subset.sources.record_files import ArrayRecord, TFRecord
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.storage.files import Files
from tests.shared import prepared

IMAGES = [
    (f"n01440764_{n}.JPEG", random.Random(n).randbytes(300 * n + 1)) for n in range(5)
]
RECORDS = [prepared.record(*image) for image in IMAGES]
NAME = "n01440764_1.JPEG"


@pytest.fixture(params=prepared.FORMATS)
def file_format(request) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path, file_format) -> pathlib.Path:
    shards = [RECORDS[:2], RECORDS[2:]]
    path = tmp_path / "imagenet2012" / "5.1.0"
    return prepared.write_version(path, "train", shards, file_format=file_format)


@pytest.fixture
def shard(folder, file_format) -> pathlib.Path:
    """The second and last shard."""
    return prepared.shard_path(folder, "train", 1, 2, file_format)


def _cut(record: bytes) -> bytes:
    """Returns a short record whose last feature is a byte longer than the record."""
    return prepared.field(1, record[2:-1])


def _source(folder: pathlib.Path, index_folder: epath.Path | None = None):
    return PreparedImagenet(epath.Path(folder), TRAINING, index_folder)


def _images(source: PreparedImagenet) -> list[tuple[str, bytes]]:
    entries = source.index.entries
    return [*zip(decoded(entries.names), source.read_images(entries), strict=True)]


def _error(folder: pathlib.Path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        _images(_source(folder))
    return caught.value


# Lengths around those at which a varint gets another byte, in any field.
sizes = st.one_of(
    st.integers(0, 600),
    *(st.integers(2**bits - 60, 2**bits + 5) for bits in (7, 14)),
    st.integers(2**21 - 60, 2**21 + 5),
)
training_names = st.builds(
    "{}_{}.JPEG".format,
    st.sampled_from([*names.wnids()[:3], *names.wnids()[125:131], names.wnids()[-1]]),
    st.integers(0, 10**10 - 1),
)
orders = st.permutations(prepared.ORDER)


@given(st.lists(st.tuples(training_names, sizes, orders), max_size=6))
@settings(max_examples=60)
def test_any_order_of_features(rows):
    images = [(name, bytes([i + 1]) * size) for i, (name, size, _) in enumerate(rows)]
    records = [
        prepared.record(*image, order=order)
        for image, (_, _, order) in zip(images, rows, strict=True)
    ]
    for (name, data), one in zip(images, records, strict=True):
        feature = tf.train.Example.FromString(one).features.feature
        assert feature["file_name"].bytes_list.value == [name.encode()]
        assert feature["image"].bytes_list.value == [data]
    with tempfile.TemporaryDirectory() as name:
        folder = prepared.write_version(
            pathlib.Path(name), "train", [records[:2], records[2:]] if rows else [[]]
        )
        if not rows:
            assert "contains no split train" in str(_error(folder))
            return
        source = _source(folder)
        assert _images(source) == images
        content = [pathlib.Path(path).read_bytes() for path in source.table.paths]
        for entry, (_, data) in zip(source.index.entries, images, strict=True):
            at = entry.offset
            assert content[entry.file][at : at + entry.size] == data


def test_a_record_costs_one_read(tmp_path):
    images = [(f"n01440764_{n}.JPEG", bytes(5000)) for n in range(40)]
    orders = [("image", "label", "file_name"), ("label", "file_name", "image")]
    records = [
        prepared.record(*image, order=orders[n % 2]) for n, image in enumerate(images)
    ]
    source = _source(prepared.write_version(tmp_path, "train", [records]))
    read = Files.read
    with mock.patch.object(Files, "read", autospec=True, side_effect=read) as reads:
        assert len(source.index.entries) == 40
    assert reads.call_count == 41
    assert sum(call.args[-1] for call in reads.mock_calls) <= 41 * 256


@given(orders, st.integers(0), st.integers(1, 255))
@settings(max_examples=150)
def test_any_changed_byte_is_an_error(order, position, change):
    records = [prepared.record(*image, order=order) for image in IMAGES[:3]]
    with tempfile.TemporaryDirectory() as name:
        folder = prepared.write_version(pathlib.Path(name), "train", [records])
        path = prepared.shard_path(folder, "train", 0, 1, "tfrecord")
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= change
        path.write_bytes(content)
        assert _error(folder).path == str(path)


@given(st.integers(0, sum(map(len, map(prepared.framed, RECORDS))) - 1))
def test_any_cut_is_an_error(end):
    with tempfile.TemporaryDirectory() as name:
        folder = prepared.write_version(pathlib.Path(name), "train", [RECORDS])
        path = prepared.shard_path(folder, "train", 0, 1, "tfrecord")
        path.write_bytes(path.read_bytes()[:end])
        assert _error(folder).path == str(path)


def test_images_and_where_they_are(folder, shard):
    source = _source(folder)
    assert _images(source) == IMAGES
    found = source.look_up([IMAGES[3][0], IMAGES[0][0], "n01440764_9.JPEG"])
    assert [entry.name for entry in found] == [IMAGES[0][0], IMAGES[3][0]]
    assert list(source.read_images(found.take([1, 0]))) == [IMAGES[3][1], IMAGES[0][1]]
    assert source.where(found[1]).endswith(f" of {shard}")


def test_many_shards(tmp_path, file_format):
    images = [(f"n01440764_{n}.JPEG", bytes([n, n])) for n in range(60)]
    shards = [[prepared.record(*image)] for image in images]
    prepared.write_version(tmp_path, "train", shards, file_format=file_format)
    assert _images(_source(tmp_path)) == images


def test_pickled_sources_read_entries(folder):
    source = _source(folder)
    entries = source.index.entries.take([4, 1])
    copied = pickle.loads(pickle.dumps(source))
    assert "index" not in vars(copied)
    assert list(copied.read_images(entries)) == [IMAGES[4][1], IMAGES[1][1]]


def test_the_index_is_saved_until_a_shard_changes(folder, shard, tmp_path, monkeypatch):
    index_folder = epath.Path(tmp_path / "indices")
    found = _source(folder, index_folder).index
    for cls in (TFRecord, ArrayRecord):
        monkeypatch.setattr(cls, "walk", lambda *_: pytest.fail("walked again"))
    again = _source(folder, index_folder)
    assert list(again.index.entries) == list(found.entries)
    assert _images(again) == IMAGES
    shard.write_bytes(shard.read_bytes())
    with pytest.raises(pytest.fail.Exception, match="walked again"):
        _ = _source(folder, index_folder).index


def test_a_shard_that_changes_after_it_was_indexed(folder, shard):
    source = _source(folder)
    entries = source.index.entries
    shard.write_bytes(shard.read_bytes())
    with pytest.raises(ArchiveError, match="was written to or replaced") as caught:
        list(source.read_images(entries))
    assert caught.value.path == str(shard)


def test_another_record_at_the_same_place(tmp_path):
    folder = prepared.write_version(tmp_path, "train", [RECORDS])
    source = _source(folder)
    entries = source.index.entries
    path = prepared.shard_path(folder, "train", 0, 1, "tfrecord")
    name, image = IMAGES[3]
    other = prepared.framed(prepared.record(name, image[::-1]))
    before = prepared.framed(RECORDS[3])
    path.write_bytes(path.read_bytes().replace(before, other))
    # The change escapes the comparison of change times.
    source.table.changed_ns[:] = os.stat(path).st_ctime_ns
    with pytest.raises(ArchiveError, match="is not the one that was found there"):
        list(source.read_images(entries))


def test_a_wrong_checksum(folder, shard, file_format):
    content = shard.read_bytes()
    at = content.index(IMAGES[3][1]) + 7
    shard.write_bytes(content[:at] + b"?" + content[at + 1 :])
    error = _error(folder)
    assert error.path == str(shard)
    assert "does not match its checksum" in error.problem
    which = "n01440764_3.JPEG, at byte " if file_format == "tfrecord" else "record 1 "
    assert which in error.problem


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (
            prepared.record(NAME, b"?", label=5),
            f"labels {NAME} as class 5, but it belongs to class 0",
        ),
        *(
            (
                prepared.record(name, b"?", label=0),
                f"contains {name}, which is not an image of this split",
            )
            for name in ("n99999999_1.JPEG", "ILSVRC2012_val_00000001.JPEG")
        ),
        *(
            (record, "does not contain file_name, image and label")
            for record in [
                b"?",
                prepared.record(NAME, b"?", order=["image", "label"]),
                prepared.record(NAME, b"?", order=["file_name", "image"]),
                prepared.record(NAME, b"?", order=["file_name", "label"]),
                prepared.record(NAME, b"?", order=[*prepared.ORDER, "label"]),
                prepared.record(NAME * 9, b"?", label=0),
                prepared.record(NAME, b"?").replace(b"label", b"lapel"),
                _cut(
                    prepared.record(NAME, b"?", order=["label", "file_name", "image"])
                ),
            ]
        ),
    ],
)
def test_another_record(tmp_path, file_format, record, problem):
    shards = [RECORDS[:3], [RECORDS[3], record, RECORDS[4]]]
    prepared.write_version(tmp_path, "train", shards, file_format=file_format)
    error = _error(tmp_path)
    assert error.path == str(prepared.shard_path(tmp_path, "train", 1, 2, file_format))
    assert error.problem.startswith("record 1 ")
    assert error.problem.endswith(problem)


def test_a_missing_shard_and_one_with_too_few_records(folder, shard, file_format):
    shard.unlink()
    error = _error(folder)
    assert error.path == str(shard)
    assert error.problem == "does not exist, but dataset_info.json counts 2 shards"
    shutil.copy(prepared.shard_path(folder, "train", 0, 2, file_format), shard)
    error = _error(folder)
    assert error.path == str(shard)
    assert error.problem == "contains 2 records, but dataset_info.json counts 3"


def test_a_cut_array_record_file(tmp_path):
    folder = prepared.write_version(
        tmp_path, "train", [RECORDS], file_format="array_record"
    )
    path = prepared.shard_path(folder, "train", 0, 1, "array_record")
    path.write_bytes(path.read_bytes()[:1000])
    assert "is not an ArrayRecord file, or is cut off" in str(_error(folder))


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ({"version": "2.0.1"}, "is version 2.0.1, not 5.1.0 or 5.0.0"),
        ({"fileFormat": "riegeli"}, "has the file format riegeli, not tfrecord or"),
        ({"splits": []}, "contains no split train (but none)"),
        (
            {"splits": [{"name": "test", "shardLengths": ["1"]}]},
            "contains no split train (but test)",
        ),
    ],
)
def test_another_dataset(tmp_path, info, problem):
    folder = prepared.write_version(tmp_path, "train", [RECORDS], **info)
    error = _error(folder)
    assert error.path == str(folder)
    assert error.problem.startswith(problem)
    assert "ILSVRC2012_img_train.tar" in error.remedy


@pytest.mark.parametrize("file_name", [{}, {"file_name": tfds.features.Text()}])
def test_other_features(folder, file_name):
    label = tfds.features.ClassLabel(num_classes=9)
    features = {"image": tfds.features.Image(), "label": label, **file_name}
    content = json.dumps(tfds.features.FeaturesDict(features).to_json())
    (folder / "features.json").write_text(content)
    assert "has other features" in _error(folder).problem


def test_an_unfinished_dataset(folder):
    (folder / "dataset_info.json").unlink()
    unfinished = folder.rename(folder.with_name("incomplete.AB12CD_5.1.0"))
    for given_folder in (folder.parent.parent, folder.parent, unfinished):
        (found,) = prepared_versions(epath.Path(given_folder))
        assert found == epath.Path(unfinished)
    error = _error(unfinished)
    assert error.problem == "contains no dataset_info.json: TFDS did not finish it"


def test_a_split_that_was_cut_is_described(folder):
    assert _source(folder).describe() == (
        "its split train has 5 examples, the original 1,281,167: it was prepared from "
        "part of the images, or with max_examples_per_split"
    )


def test_the_newest_supported_version_comes_first(tmp_path):
    for version in ("5.0.0", "5.1.0", "2.0.1"):
        prepared.write_version(
            tmp_path / "imagenet2012" / version, "train", [RECORDS], version=version
        )
    expected = [tmp_path / "imagenet2012" / version for version in ("5.1.0", "5.0.0")]
    for folder in (tmp_path, tmp_path / "imagenet2012"):
        assert prepared_versions(epath.Path(folder)) == list(map(epath.Path, expected))
    shutil.rmtree(expected[0])
    assert _images(_source(expected[1])) == IMAGES


def test_other_folders_contain_none(tmp_path):
    other = prepared.write_version(
        tmp_path / "imagenet2012_subset" / "5.0.0", "train", [RECORDS], name="another"
    )
    (tmp_path / "imagenet2012" / "train").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "imagenet2012", other, tmp_path / "nowhere"):
        assert not prepared_versions(epath.Path(folder))
