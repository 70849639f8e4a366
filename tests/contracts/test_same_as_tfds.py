"""The strongest oracle: TFDS's own builder, on the same archives."""

from __future__ import annotations

import io
import itertools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import jpeg
from tests.conftest import read_split
from tests.shared import archives, tfds_builder

_NUM_SYNSETS = 12


def _records(path):
    """Returns each record of a shard, parsed, its features in a fixed order."""
    return [
        tf.train.Example.FromString(raw).SerializeToString(deterministic=True)
        for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def _splits(folder):
    info = json.loads((folder / "dataset_info.json").read_text())
    return info["splits"]


def assert_same_dataset(ours: pathlib.Path, theirs: pathlib.Path) -> None:
    names = sorted(path.name for path in theirs.iterdir())
    # Only the dataset of a custom list has metadata, which identify the list.
    own = {"metadata.json"}
    assert sorted({path.name for path in ours.iterdir()} - own) == names
    assert _splits(ours) == _splits(theirs)
    for name in ("features.json", "label.labels.txt"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    for name in names:
        if ".tfrecord-" in name:
            assert _records(ours / name) == _records(theirs / name), name


def _cmyk(data: bytes) -> bytes:
    return archives.encode(Image.open(io.BytesIO(data)).convert("CMYK"))


def _png(data: bytes) -> bytes:
    return archives.encode(Image.open(io.BytesIO(data)), "PNG")


@pytest.fixture
def real_archives(real_data, tmp_path, converted_here):
    """Real photos under the real lists' names, of a few synsets; 60 for validation.

    Returns the manual directory and the cut lists by config.
    """
    photos = [path.read_bytes() for path in sorted((real_data / "photos").iterdir())]
    photo = itertools.cycle(photos)
    listed = {
        config: (real_data / "lists" / f"{config[:-3]}percent.txt").read_text().split()
        for config in ("1pct", "10pct")
    }
    special = sorted(jpeg.CMYK_IMAGES | jpeg.PNG_IMAGES)
    wnids = sorted({n.split("_")[0] for n in listed["10pct"][:_NUM_SYNSETS] + special})
    training = {}
    for wnid in wnids:
        names = [n for n in listed["10pct"] if n.startswith(wnid)][:40]
        names += [n for n in special if n.startswith(wnid) and n not in names]
        names += [f"{wnid}_{900_000 + i}.JPEG" for i in range(5)]
        training[wnid] = []
        for name in names:
            data = next(photo)
            if name in jpeg.CMYK_IMAGES:
                data = _cmyk(data)
            elif name in jpeg.PNG_IMAGES:
                data = _png(data)
            training[wnid].append((name, data))
    present = {name for images in training.values() for name, _ in images}
    lists = {}
    for config, names in listed.items():
        kept = [name for name in names if name in present]
        kept += [name for name in special if config == "10pct" and name not in kept]
        lists[config] = tmp_path / f"{config}.txt"
        lists[config].write_text("\n".join(kept) + "\n")
    order = np.random.default_rng(1).permutation(np.arange(1, 61)).tolist()
    manual_dir = archives.write_manual_dir(
        tmp_path / "real",
        archives.training_tar(training),
        archives.tar_bytes((archives.validation_name(n), next(photo)) for n in order),
    )
    return manual_dir, lists


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("1pct", {}),
        ("10pct", {}),
        ("10pct", {"num_shards": 7}),
        ("10pct", {"max_examples_per_split": 33, "num_shards": 2}),
    ],
)
def test_real_photos_under_real_names(real_archives, build, tmp_path, config, options):
    manual_dir, lists = real_archives
    ours = build(
        manual_dir=manual_dir,
        subset_list=lists[config],
        validation_images=60,
        **options,
    )
    theirs = tfds_builder.build(
        config, manual_dir, lists[config], tmp_path / "theirs", **options
    )
    assert_same_dataset(ours.data_path, theirs.data_path)


def test_small_data(build, small_data, tmp_path):
    ours = build()
    # Without gaps TFDS's pairing of sorted names with labels is right.
    theirs = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    assert_same_dataset(ours.data_path, theirs.data_path)
    assert read_split(ours, "train") == read_split(theirs, "train")


def test_planned_shards_contain_what_the_generators_of_tfds_yield(build, small_data):
    ours = build()
    dl_manager = tfds.download.DownloadManager(
        download_dir=ours.data_dir_root / "downloads",
        manual_dir=small_data.manual_dir,
        manual_dir_instructions=ours.MANUAL_DOWNLOAD_INSTRUCTIONS,
    )
    generators = ours._split_generators(dl_manager)
    for split, examples in generators.items():
        yielded = {(e["file_name"], e["image"], e["label"]) for _, e in examples}
        assert yielded == set(read_split(ours, split))


def test_a_missing_validation_image(build, small_data, tmp_path):
    right = {name: wnid for name, _, wnid in read_split(build(), "validation")}
    missing, _ = small_data.validation.pop(1)
    small_data.write()
    theirs = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    labels = {name: wnid for name, _, wnid in read_split(theirs, "validation")}
    assert labels.keys() == right.keys() - {missing}
    assert all(labels[name] != right[name] for name in labels)
    with pytest.raises(ArchiveError, match=missing):
        build(data_dir=tmp_path / "ours")
