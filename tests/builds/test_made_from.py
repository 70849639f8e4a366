"""An existing dataset is reused only if it was built from what is requested."""

from __future__ import annotations

import http.server
import json
import pathlib
import pickle
import threading
from collections.abc import Iterator
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig, SubsetListError, WriteError
from tests.conftest import read_split
from tests.shared.final_place import contents, names_in

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS


def _shards(builder) -> dict[str, list[int]]:
    return {name: split.shard_lengths for name, split in builder.info.splits.items()}


def _names(builder, split="train"):
    return sorted(name for name, _, _ in read_split(builder, split))


@pytest.fixture
def other_list(small_data, tmp_path) -> pathlib.Path:
    path = tmp_path / "other.txt"
    names = [name for images in small_data.training.values() for name, _ in images]
    path.write_text("\n".join(name for name in names if name not in small_data.listed))
    assert len(path.read_text().split()) == len(small_data.listed)
    return path


class _Web:
    """Serves texts, and counts how often each was asked for."""

    def __init__(self, texts: dict[str, bytes]):
        self.texts = texts
        self.asked: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def web(small_data, other_list) -> Iterator[_Web]:
    web = _Web(
        {
            "list.txt": small_data.subset_list.read_bytes(),
            "same.txt": small_data.subset_list.read_bytes(),
            "other.txt": other_list.read_bytes(),
        }
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.strip("/")
            web.asked.append(name)
            self.send_response(200 if name in web.texts else 404)
            self.end_headers()
            self.wfile.write(web.texts.get(name, b""))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield web
        server.shutdown()


def test_another_list_under_a_built_name(build, other_list, small_data):
    built = build()
    before = contents(pathlib.Path(built.data_path))
    with pytest.raises(
        SubsetListError, match=r"not the list that .* was built from"
    ) as raised:
        build(subset_list=other_list)
    assert raised.value.path == str(other_list)
    assert "another name" in raised.value.remedy
    assert "REUSE_CACHE_IF_EXISTS" in raised.value.remedy
    assert contents(pathlib.Path(built.data_path)) == before
    again = build(subset_list=other_list, download_mode=_OVERWRITE)
    assert _names(again) == sorted(other_list.read_text().split())
    with pytest.raises(SubsetListError):
        build()


@pytest.mark.parametrize("name", ["other.txt", "list.txt"])
def test_another_list_behind_a_url(build, web, small_data, name):
    build(subset_list=web.url("list.txt"))
    web.texts["list.txt"] = web.texts["other.txt"]
    with pytest.raises(SubsetListError, match=r"not the list that .* was built from"):
        build(subset_list=web.url(name))


def test_the_same_list_behind_another_url(build, web):
    first = build(subset_list=web.url("list.txt"))
    assert _names(build(subset_list=web.url("same.txt"))) == _names(first)


def test_a_list_behind_its_url_without_internet(build, web):
    first = build(subset_list=web.url("list.txt"))
    del web.texts["list.txt"]
    again = build(subset_list=web.url("list.txt"))
    assert _names(again) == _names(first)
    with pytest.raises(WriteError, match="has 6 train images, but 2 are requested"):
        build(subset_list=web.url("list.txt"), max_examples_per_split=2)


def test_another_url_without_internet(build, web):
    build(subset_list=web.url("list.txt"))
    with pytest.raises(SubsetListError, match="cannot be downloaded") as raised:
        build(subset_list=web.url("gone.txt"))
    assert 'tfds.load("imagenet2012_subset/small")' in raised.value.remedy


def test_a_built_dataset_is_loaded_by_name_without_its_list(build, web, tmp_path):
    first = build(subset_list=web.url("list.txt"))
    web.asked.clear()
    web.texts.clear()
    loaded = tfds.load(
        "imagenet2012_subset/small", split="train", data_dir=tmp_path / "data"
    )
    assert len(loaded) == len(_names(first))
    assert not web.asked


@pytest.mark.parametrize(
    ("made", "asked", "told"),
    [
        ({}, {"max_examples_per_split": 2}, "has 6 train images, but 2"),
        ({"max_examples_per_split": 0}, {}, "has 0 train images, but 6"),
        ({"ignore_duplicates": True}, {}, "was built with ignore_duplicates"),
        ({}, {"nondeterministic_order": True}, "has its images in TFDS's order"),
    ],
)
def test_other_options(build, made, asked, told):
    if "nondeterministic_order" in {**made, **asked} and not hasattr(
        tfds.download.DownloadConfig(), "nondeterministic_order"
    ):
        pytest.skip("this TFDS has no such option")
    first = build(**made)
    before = contents(pathlib.Path(first.data_path))
    with pytest.raises(WriteError, match=told) as raised:
        build(**asked)
    assert raised.value.path == str(first.data_path)
    # The same once more is what is there.
    assert _shards(build(**made)) == _shards(first)
    assert contents(pathlib.Path(first.data_path)) == before
    build(**asked, download_mode=_OVERWRITE)
    build(**asked)


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ({}, {"max_examples_per_split": 6}),
        ({"max_examples_per_split": 100}, {}),
        ({}, {"ignore_duplicates": True}),
        ({}, {"num_shards": 2}),
    ],
)
def test_options_that_make_no_difference(build, made, asked):
    first = build(**made)
    assert _shards(build(**asked)) == _shards(first)


def test_a_dataset_that_does_not_say_of_which_list_it_is(build):
    folder = pathlib.Path(build().data_path)
    (folder / "metadata.json").unlink()
    with pytest.raises(WriteError, match="does not record which subset list") as raised:
        build()
    assert f"check {folder} --subset_list" in raised.value.remedy


def test_a_dataset_of_the_first_version_says_its_list_alone(build, other_list):
    folder = pathlib.Path(build().data_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    old = {"training_names_sha256": metadata["training_names_sha256"]}
    (folder / "metadata.json").write_text(json.dumps(old))
    build()
    with pytest.raises(SubsetListError):
        build(subset_list=other_list)
    with pytest.raises(WriteError, match="has 5 validation images"):
        build(validation_images=4)


@pytest.mark.parametrize("text", ["", "{", '{"splits": 1}'])
def test_infos_that_are_cut_off(build, small_data, text):
    first = build()
    (first.data_path / "dataset_info.json").write_text(text)
    with pytest.raises(WriteError, match=r"dataset_info.json: cannot be read"):
        first.download_and_prepare()
    with pytest.raises(WriteError, match=r"dataset_info.json: cannot be read"):
        build(download_mode=_OVERWRITE)
    first.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=small_data.manual_dir, download_mode=_OVERWRITE
        )
    )
    assert len(read_split(first, "train")) == 6


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, None),
        ({"list": "other"}, "SubsetListError"),
        ({"max_examples_per_split": 2}, "WriteError"),
        ({"ignore_duplicates": True, "num_shards": 2}, None),
    ],
)
@pytest.mark.usefixtures("without_locks")
def test_the_loser_of_a_race(build, other_list, asked, told):
    keywords = dict(asked)
    if keywords.pop("list", None):
        keywords["subset_list"] = other_list
    generate = imagenet2012_subset.Builder._generate_splits
    winners = []

    def lose(self, *args):
        splits = generate(self, *args)
        if not winners:
            winners.append(None)
            winners.append(build())
        return splits

    with mock.patch.object(imagenet2012_subset.Builder, "_generate_splits", lose):
        if told:
            with pytest.raises(getattr(imagenet2012_subset, told)):
                build(**keywords)
        else:
            assert _names(build(**keywords)) == _names(winners[1])
    folder = pathlib.Path(winners[1].data_path)
    assert names_in(folder.parent) == ["5.0.0"]
    assert len(_names(winners[1])) == 6


def test_a_builder_made_before_the_dataset_was_there(build, small_data, tmp_path):
    early = imagenet2012_subset.Builder(
        config=SubsetConfig(
            name="small", subset_list=small_data.subset_list, validation_images=5
        ),
        data_dir=tmp_path / "data",
    )
    built = build(num_shards=2)
    early.download_and_prepare()
    assert _shards(early) == _shards(built)
    assert early.info.splits["train"].num_examples == 6
    assert read_split(early, "train") == read_split(built, "train")


def test_a_pickled_builder_keeps_what_it_was_made_with(small_data, tmp_path):
    builder = imagenet2012_subset.Builder(
        config=SubsetConfig(
            name="small", subset_list=small_data.subset_list, validation_images=5
        ),
        data_dir=tmp_path / "data",
        workers=3,
        file_format="array_record",
    )
    other = pickle.loads(pickle.dumps(builder))
    assert other._workers == 3
    config = tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    other.download_and_prepare(download_config=config)
    assert list(other.data_path.glob("*array_record*"))
    assert not list(other.data_path.glob("*tfrecord*"))
    assert len(pickle.loads(pickle.dumps(other)).info.splits) == 2
