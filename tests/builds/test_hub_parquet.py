"""The Hugging Face hub's parquet files give the dataset that the tars give."""

from __future__ import annotations

import io
import pickle
import re
import shutil
import sys
import time
from unittest import mock

import pyarrow as pa
import pytest
from etils import epath
from pyarrow import parquet

from imagenet2012_subset import ArchiveError, ManualDirError, WriteError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources import hub_parquet
from imagenet2012_subset.sources.hub_parquet import (
    HubParquet,
    Spool,
    find_parquet_files,
)
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.write.local import stage_splits
from tests.builds import file_faults
from tests.shared import faults, forms
from tests.shared.final_place import contents


def _training_rows(small_data):
    """Returns the rows in an order that differs from the tar's."""
    images = list(forms.images(small_data))
    return forms.hub_rows(images[1::2] + images[::2])


def _write_both(small_data, folder):
    forms.write_parquet(folder, "train", _training_rows(small_data))
    forms.write_parquet(
        folder, "validation", forms.hub_rows(small_data.validation), num_files=2
    )
    forms.write_parquet(folder, "test", [{"image": None, "label": -1}])


@pytest.fixture
def hub(small_data, tmp_path):
    """The folder with the files of both splits."""
    folder = tmp_path / "hub"
    _write_both(small_data, folder)
    return folder


def test_every_file_is_the_one_from_the_tars(build, hub, tmp_path):
    options = {"file_format": "array_record", "num_shards": 2}
    from_tars = build(data_dir=tmp_path / "from_tars", **options)
    from_hub = build(manual_dir=hub, **options)
    assert contents(from_hub.data_path) == contents(from_tars.data_path)


def _as_hub_cache(files, cache, revision):
    """Moves files to where the hub's client puts them."""
    (cache / "blobs").mkdir(parents=True, exist_ok=True)
    snapshot = cache / "snapshots" / revision / "data"
    snapshot.mkdir(parents=True)
    for path in files:
        blob = cache / "blobs" / f"{revision}{path.name}"
        path.rename(blob)
        (snapshot / path.name).symlink_to(f"../../../blobs/{blob.name}")


@pytest.mark.parametrize("above", ["datasets--ILSVRC--imagenet-1k", ""])
def test_the_hubs_cache(rule, small_data, hub, tmp_path, above):
    manual_dir = tmp_path / "cache"
    cache = manual_dir / above
    _as_hub_cache(sorted(hub.iterdir()), cache, "abc")
    _write_both(small_data, hub)
    _as_hub_cache([hub / "train-00001-of-00003.parquet"], cache, "0a_part")
    rule.builds(manual_dir=manual_dir)
    rule.builds(manual_dir=cache)


def test_a_tar_comes_before_the_files(rule, small_data, hub):
    forms.validation_tar(small_data, hub)
    for path in hub.glob("validation-*"):
        path.write_bytes(b"not to be read")
    rule.builds(manual_dir=hub)


def test_paths_without_an_appended_wnid(rule, small_data, hub):
    rows = _training_rows(small_data)
    for row in rows:
        stem, _, _ = row["image"]["path"].rpartition("_")
        row["image"]["path"] = f"some/folder/{stem}.JPEG"
    forms.write_parquet(hub, "train", rows)
    rule.builds(manual_dir=hub)


def test_files_of_the_datasets_library(rule, small_data, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(names.wnids())),
        }
    )
    splits = {
        "train": (_training_rows(small_data), 15),  # The last files have no rows.
        "validation": (forms.hub_rows(small_data.validation), 2),
    }
    for split, (rows, total) in splits.items():
        dataset = datasets.Dataset.from_list(rows, features=features)
        for number in range(total):
            part = dataset.select(range(number, len(rows), total))
            name = f"{split}-{number:05d}-of-{total:05d}.parquet"
            part.to_parquet(tmp_path / "hub" / "data" / name)
    rule.builds(manual_dir=tmp_path / "hub")


def test_on_beam(build, hub, tmp_path):
    pytest.importorskip("apache_beam", reason="apache-beam is not installed")
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    on_beam = build(manual_dir=hub, num_shards=2, beam_runner=runner)
    from_tars = build(data_dir=tmp_path / "from_tars", num_shards=2)
    assert contents(on_beam.data_path) == contents(from_tars.data_path)


def test_row_groups_without_a_listed_image_are_not_read(rule, small_data, hub):
    path = hub / "train-00000-of-00003.parquet"
    listed = set(small_data.listed)
    row_names = [name for name, _ in list(forms.images(small_data))[1::2][:4]]
    assert not listed.intersection(row_names)
    _damage_images(path)
    rule.builds(manual_dir=hub)
    small_data.subset_list.write_text(row_names[0] + "\n")
    rule.refuses(str(path), "is cut off, damaged", manual_dir=hub)


@pytest.mark.parametrize("num_rows", [1, 3])
def test_row_groups_are_decoded_in_several_batches(rule, hub, monkeypatch, num_rows):
    for path in hub.glob("train-*"):
        table = parquet.read_table(path)
        parquet.write_table(table, path, row_group_size=4)
        assert parquet.read_metadata(path).num_row_groups == 1
    monkeypatch.setattr(hub_parquet, "_BATCH_ROWS", num_rows)
    rule.builds(manual_dir=hub)


def _damage_images(path):
    """Overwrites the page headers of the images in the first row group."""
    column = parquet.read_metadata(path).row_group(0).column(0)
    assert column.path_in_schema == "image.bytes"
    start = column.dictionary_page_offset or column.data_page_offset
    path.write_bytes(faults.overwritten(path.read_bytes(), start, b"\xff" * 64))


def _image(path, data=b""):
    return {"image": {"bytes": data, "path": path}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_image(None), "has no path"),
        ({"image": None}, "has no path"),
        (_image("cat.JPEG"), "cat.JPEG, which names no image of"),
        (_image("n99999999_1.JPEG"), "which names no image of"),
        (_image("ILSVRC2012_val_00000001.JPEG"), "which names no image of"),
        (_image("n01440764_3_n01443537.JPEG"), "but the image belongs to n01440764"),
        (_image("n01440764_7.JPEG", None), "has a path but no image"),
        (_image("n01440764_7.JPEG", b"text"), "is a text file, not a JPEG"),
        ({"label": 7}, "but the label 7, which is n01514668"),
        ({"label": 1000}, "but the label 1000"),
        ({"label": -1}, "but the label -1"),
        ({"label": None}, "but the label None"),
    ],
)
def test_a_row_that_is_wrong(rule, small_data, hub, change, problem):
    rows = _training_rows(small_data)
    assert rows[6]["image"]["path"] == forms.appended("n01440764_7.JPEG")
    rows[6] |= change
    forms.write_parquet(hub, "train", rows)
    path = hub / "train-00001-of-00003.parquet"
    rule.refuses(str(path), "row 2 ", problem, manual_dir=hub)


@pytest.mark.parametrize("number", ["00050001", "00000000"])
def test_a_validation_image_that_does_not_exist(rule, small_data, hub, number):
    rows = forms.hub_rows(small_data.validation)
    rows[4]["image"]["path"] = f"ILSVRC2012_val_{number}.JPEG"
    forms.write_parquet(hub, "validation", rows, num_files=2)
    path = hub / "validation-00001-of-00002.parquet"
    problem = "row 1 has the path", "names no image of"
    rule.refuses(str(path), *problem, manual_dir=hub)


def test_an_image_that_occurs_twice(rule, small_data, hub):
    rows = _training_rows(small_data)
    rows.append(rows[6])
    forms.write_parquet(hub, "train", rows)
    name = small_data.listed[-1]
    assert rows[6]["image"]["path"] == forms.appended(name)
    rule.refuses(
        f"{name} is row 1 of train-00001-of-00003.parquet and row 2 of "
        "train-00002-of-00003.parquet",
        manual_dir=hub,
    )
    rule.builds(manual_dir=hub, ignore_duplicates=True)


def test_an_image_that_is_missing(rule, small_data, hub):
    rows = _training_rows(small_data)
    del rows[6]
    forms.write_parquet(hub, "train", rows)
    problem = "is missing 1 of 6 images", "3 parquet files with 11 images"
    rule.refuses(str(hub), *problem, small_data.listed[-1], manual_dir=hub)


def test_files_that_are_missing(rule, hub):
    path = hub / "train-00001-of-00003.parquet"
    path.unlink()
    rule.refuses(f"is missing 1 of 3 files ({path.name})", manual_dir=hub)


def test_files_of_two_revisions(rule, hub):
    path = hub / "train-00000-of-00003.parquet"
    shutil.copy(path, hub / "train-00000-of-00004.parquet")
    rule.refuses("several revisions (-of-00003, -of-00004)", manual_dir=hub)


def test_a_broken_link(rule, hub):
    path = hub / "train-00000-of-00003.parquet"
    path.unlink()
    path.symlink_to("../blobs/0123")
    rule.refuses(str(path), "is a broken link to ../blobs/0123", manual_dir=hub)


def _pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def _damaged_name(path):
    path.write_bytes(path.read_bytes().replace(b"bytes", b"\xffytes"))


@pytest.mark.parametrize(
    "fault",
    [
        file_faults.shorter,
        file_faults.empty,
        file_faults.directory,
        _pointer,
        _damaged_name,
    ],
)
def test_what_is_not_a_parquet_file(rule, hub, fault):
    path = hub / "train-00001-of-00003.parquet"
    fault(path)
    rule.refuses(str(path), "not a parquet file", manual_dir=hub)


def test_files_of_another_dataset(rule, hub):
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    forms.write_parquet(hub, "train", [{"image": b"", "label": 0}], 1, schema)
    for path in hub.glob("train-*-of-00003*"):
        path.unlink()
    problem = "has the columns image, label, not image.bytes, image.path, label"
    rule.refuses("train-00000-of-00001.parquet", problem, manual_dir=hub)


def test_without_pyarrow(rule, hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    error = rule.refuses("pip install '.[parquet]'", manual_dir=hub)
    assert isinstance(error, ManualDirError)


def _source(hub):
    return HubParquet(find_parquet_files(hub, TRAINING), TRAINING)


def _staged(small_data, hub, directory):
    source = _source(hub)
    return source, source.stage(
        source.look_up(small_data.listed), epath.Path(directory)
    )


def test_staged_images_can_be_read_in_another_process(small_data, hub, tmp_path):
    source, entries = pickle.loads(pickle.dumps(_staged(small_data, hub, tmp_path)))
    images = dict(forms.images(small_data))
    order = [4, 0, 5, 1]
    expected = [images[entries[i].name] for i in order]
    assert list(source.read_images(entries.take(order))) == expected
    assert entries.sizes.tolist() == [len(images[entry.name]) for entry in entries]
    error = source.damaged(entries[0], "is not a JPEG")
    assert error.path == str(hub / "train-00001-of-00003.parquet")
    assert error.problem == f"row 2 ({entries[0].name}) is not a JPEG"


def test_a_file_that_changes_before_it_is_copied(small_data, hub, tmp_path):
    source = _source(hub)
    entries = source.look_up(small_data.listed)
    path = hub / "train-00001-of-00003.parquet"
    file_faults.replaced(path)
    with pytest.raises(ArchiveError, match="was written to or replaced") as caught:
        source.stage(entries, epath.Path(tmp_path))
    assert caught.value.path == str(path)


def test_a_file_that_changes_while_it_is_copied(small_data, hub, tmp_path, monkeypatch):
    path = hub / "train-00001-of-00003.parquet"
    append = Spool.append
    monkeypatch.setattr(
        Spool, "append", lambda spool, data: path.touch() or append(spool, data)
    )
    with pytest.raises(ArchiveError, match="was written to or replaced"):
        _staged(small_data, hub, tmp_path)


@pytest.mark.parametrize(("num_files", "in_file"), [(3, 4), (12, 1)])
def test_an_image_counts_as_its_share_of_a_file(
    small_data, tmp_path, num_files, in_file
):
    forms.write_parquet(tmp_path, "train", _training_rows(small_data), num_files)
    entries = _source(tmp_path).look_up(small_data.listed)
    shares = entries.table.sizes // in_file
    assert entries.sizes.tolist() == shares[entries.files].tolist()


def test_short_space(build, small_data, hub, tmp_path, monkeypatch, leave_free):
    images = dict(forms.images(small_data))
    training = sum(len(images[name]) for name in small_data.listed)
    validation = sum(len(data) for _, data in small_data.validation)
    forms.training_tar(small_data, hub)  # Of these images no copy is needed.
    needed = training + 2 * validation
    free = needed * 9 // 10
    leave_free(free)
    monkeypatch.setattr(hub_parquet, "Spool", lambda path: pytest.fail("copied"))
    problem = f"has {free:,} bytes free, but a copy of the images and the dataset"
    with pytest.raises(WriteError, match=problem) as caught:
        build(manual_dir=hub)
    assert re.match(r"Free [\d,]+ bytes, or use another data_dir", caught.value.remedy)
    faults.assert_nothing_built(tmp_path / "data")


def test_short_space_on_the_disk_of_copies(small_data, hub, tmp_path, leave_free):
    """The dataset is on another disk."""
    source = _source(hub)
    entries = source.look_up(small_data.listed)
    images = {"train": Images(source, entries)}
    needed = source.num_bytes_to_stage(entries)
    leave_free(int(0.9 * needed))
    with pytest.raises(WriteError, match="but a copy of the images takes") as caught:
        stage_splits(images, epath.Path(tmp_path), on_dataset_disk=False)
    assert "set TMPDIR" in caught.value.remedy
    leave_free(int(1.6 * needed))
    staged = stage_splits(images, epath.Path(tmp_path), on_dataset_disk=False)
    assert [image.name for image in staged["train"]] == [e.name for e in entries]


def _write_copies_with(monkeypatch, write):
    """Makes `write(write_to_disk, data)` write the copies of images."""

    class Copies(io.FileIO):
        def write(self, data):
            return write(super().write, data)

    monkeypatch.setattr(
        hub_parquet, "open", lambda path, mode, **_: Copies(path, mode), raising=False
    )


def test_a_copy_that_cannot_be_written(rule, hub, monkeypatch):
    def full(write_to_disk, data):
        raise OSError(28, "No space left on device")

    _write_copies_with(monkeypatch, full)
    rule.refuses("train.images", "cannot be written (No space", manual_dir=hub)


def test_short_writes_are_continued(rule, hub, monkeypatch):
    _write_copies_with(
        monkeypatch, lambda write_to_disk, data: write_to_disk(data[:100])
    )
    rule.builds(manual_dir=hub)


def test_an_interrupted_build_leaves_nothing(build, hub, tmp_path, monkeypatch):
    def append(spool, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(Spool, "append", append)
    with pytest.raises(KeyboardInterrupt):
        build(manual_dir=hub)
    faults.assert_nothing_built(tmp_path / "data")


def test_an_interrupt_ends_the_other_threads(small_data, hub, tmp_path, monkeypatch):
    bar = mock.MagicMock()
    bar.__enter__().update.side_effect = KeyboardInterrupt
    append = Spool.append
    appended = []

    def append_slowly(spool, data):
        start = append(spool, data)
        appended.append(start)
        time.sleep(0.05)
        return start

    monkeypatch.setattr(Spool, "append", append_slowly)
    monkeypatch.setattr(hub_parquet, "_THREADS", 1)
    monkeypatch.setattr(hub_parquet, "progress_bar", lambda **kwargs: bar)
    with pytest.raises(KeyboardInterrupt):
        _staged(small_data, hub, tmp_path)
    assert len(appended) < len(small_data.listed)
