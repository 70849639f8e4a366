"""The page shows the facts of a dataset."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import io
import json
import pathlib
import re

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from imagenet2012_subset import class_name
from imagenet2012_subset.page.render import (
    contact_sheet,
    describe_split,
    render_page,
    what_is_shown,
)
from imagenet2012_subset.page.survey import SplitSurvey, survey_split
from imagenet2012_subset.page.write import write_page
from imagenet2012_subset.prepared.dataset import PreparedDataset, open_dataset
from tests.conftest import read_split
from tests.shared import archives, prepared


class _Document(html.parser.HTMLParser):
    """The page's attributes, its text, and the contact sheet's data."""

    def __init__(self, text: str):
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.data = ""
        self.scripts = 0
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        is_data = ("id", "data") in attrs
        self.scripts += tag == "script" and not is_data
        self._inside = "data" if is_data else tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def classes(self) -> list[dict]:
        return json.loads(self.data)["classes"]


def _document(path: pathlib.Path, tmp_path: pathlib.Path) -> _Document:
    return _Document(write_page(path, tmp_path / "page.html").read_text())


def _survey(dataset: PreparedDataset, most: int = 100) -> list[SplitSurvey]:
    return [survey_split(dataset, split, most) for split in dataset.splits]


def test_facts_about_the_dataset(build, small_data, tmp_path, capsys):
    wide = archives.jpeg(1, (300, 50))
    small_data.validation[0] = (small_data.validation[0][0], wide)
    small_data.write()
    builder = build()
    tfds.enable_progress_bar()
    page = _document(builder.data_path, tmp_path)
    for fact in (
        "imagenet2012_subset/\u200bsmall/\u200b5.0.0",
        "Training list a custom list",
        "Version 5.0.0",
        "imagenet2012_subset.imagenet2012_subset_dataset_builder",
        "tfrecord",
        f"TFDS {tfds.__version__}",
        builder.info.metadata["training_names_sha256"],
        "6 images in train",
        "5 images in validation",
        "Images of a class: 3 classes have 2. 997 classes have none.",
        "imagenet2012_subset-train.tfrecord-00000-of-00001",
        "imagenet2012_subset-validation.tfrecord-00000-of-00001",
    ):
        assert fact in page.text
    assert "Width, pixels train 40 40 40 40 40" in page.text
    assert re.search(r"Width, pixels validation 40 40 40 \d+ 300", page.text)
    assert re.search(r"Height, pixels validation 30 30 30 \d+ 50", page.text)
    progress = capsys.readouterr().err
    assert "Reading train: 100%" in progress
    assert "5/5" in progress


def test_smallest_and_largest_classes(build):
    dataset = open_dataset(build().data_path)
    survey = _survey(dataset)[0]
    # Class 0 has one image, class 1 two, and so on to 20 of class 19.
    labels = np.repeat(np.arange(20), np.arange(1, 21))
    split = describe_split(dataset, dataclasses.replace(survey, labels=labels))
    assert split["balance"] == (
        "Images of a class: 1 to 20, median 10. 980 classes have none."
    )
    assert split["fewest"] == [(class_name(i), i + 1) for i in range(5)]
    assert split["most"] == [(class_name(i), i + 1) for i in range(19, 14, -1)]


def test_contact_sheet_shows_every_image_of_a_small_dataset(build, tmp_path):
    builder = build()
    expected = {
        (name, split, wnid, class_name(wnid), 40, 30, len(data))
        for split in ("train", "validation")
        for name, data, wnid in read_split(builder, split)
    }
    document = _document(builder.data_path, tmp_path)
    shown = [
        (
            image["name"],
            split["name"],
            one["wnid"],
            one["name"],
            *(image[key] for key in ("width", "height", "bytes")),
        )
        for one in document.classes
        for split in one["splits"]
        for image in split["images"]
    ]
    assert len(shown) == len(expected)
    assert {*shown} == expected


def test_thumbnail_shows_the_named_image(build, small_data, tmp_path):
    colours = {"n01440764": "red", "n01443537": "green", "n15075141": "blue"}
    for wnid, images in small_data.training.items():
        plain = Image.new("RGB", (60, 200), colours[wnid])
        small_data.training[wnid] = [
            (name, archives.encode(plain, comment=name)) for name, _ in images
        ]
    small_data.write()
    seen = {}
    for one in _document(build().data_path, tmp_path).classes:
        for image in one["splits"][0]["images"]:
            webp = io.BytesIO(base64.b64decode(image["webp"]))
            with Image.open(webp) as thumbnail:
                pixel = thumbnail.convert("RGB").getpixel((48, 48))
            seen[one["wnid"]] = ("red", "green", "blue")[int(np.argmax(pixel))]
    assert seen == colours


def test_contact_sheet_of_a_large_split_shows_the_first_of_each_class(build):
    builder = build()
    surveys = _survey(open_dataset(builder.data_path), most=3)
    names = [name for name, _, _ in read_split(builder, "train")]
    for one in contact_sheet(surveys)["classes"]:
        of_class = [name for name in names if name.startswith(one["wnid"])]
        train = one["splits"][0]
        assert [image["name"] for image in train["images"]] == of_class[:1]
        assert train["count"] == len(of_class)
    text = what_is_shown(surveys)
    assert "3 of the 6 of train, the first 1 of each class" in text
    assert "3 of the 5 of validation" in text


def test_first_images_are_the_same_in_any_format(build, small_data, tmp_path):
    # Enough images that TensorFlow could interleave two files.
    small_data.training = {
        wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(100 * i + n)) for n in range(30)]
        for i, wnid in enumerate(small_data.training)
    }
    small_data.write()
    names = [name for images in small_data.training.values() for name, _ in images]
    small_data.subset_list.write_text("\n".join(names))
    shown = []
    for file_format in ("tfrecord", "array_record"):
        folder = build(
            file_format=file_format, data_dir=tmp_path / file_format, num_shards=2
        ).data_path
        shown.append(survey_split(open_dataset(folder), "train", 30).thumbnails)
        assert file_format in _document(folder, tmp_path).text
    assert shown[0] == shown[1]


def test_references_are_valid_and_inside_the_page(build, tmp_path):
    document = _document(build().data_path, tmp_path)
    ids = [value for _, name, value in document.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    referred = set()
    for tag, name, value in document.attributes:
        referred |= set(re.findall(r"url\(#(\w+)\)", value))
        if name in ("for", "aria-labelledby", "aria-describedby"):
            referred |= set(value.split())
        if name in ("href", "xlink:href") and value.startswith("#"):
            referred.add(value[1:])
        if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            allowed = ("#", "data:") + (("http://", "https://") if tag == "a" else ())
            assert value.startswith(allowed), (tag, name, value)
        assert "url(" not in value.replace("url(#", ""), value
    assert referred <= set(ids)
    text = (tmp_path / "page.html").read_text()
    assert "@import" not in text
    assert "url(" not in text.partition("<style>")[2].partition("</style>")[0]


def test_content_of_a_dataset_is_never_markup(build, tmp_path):
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    builder = build()
    prepared.change_json(
        builder.data_path / "dataset_info.json",
        configDescription=bad,
        citation=bad,
        description=bad,
        location={"urls": ["javascript:alert(3)"]},
    )
    dataset = open_dataset(builder.data_path)
    train, validation = _survey(dataset)
    ((label, (thumbnail, *_)), *_) = train.thumbnails.items()
    train = dataclasses.replace(
        train, thumbnails={label: [thumbnail._replace(file_name=bad)]}
    )
    document = _Document(render_page(dataset, [train, validation]))
    assert document.scripts == 1
    assert document.text.count(bad) == 3
    assert not [name for _, name, _ in document.attributes if name == "onerror"]
    assert "javascript:alert(3)" in document.text
    assert not [a for a in document.attributes if a[2].startswith("javascript:")]
    images = [image for one in document.classes for image in one["splits"][0]["images"]]
    assert bad in [image["name"] for image in images]
    # Browsers run only the script of the page.
    (policy,) = (
        value
        for tag, name, value in document.attributes
        if tag == "meta" and name == "content" and "default-src" in value
    )
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}=';", policy)


def test_split_without_records_is_left_out(build, tmp_path):
    folder = build().data_path
    for shard in folder.glob("*-validation.*"):
        shard.unlink()
    path = folder / "dataset_info.json"
    train, validation = prepared.read_json(path)["splits"]
    validation |= {"shardLengths": [], "numBytes": "0"}
    prepared.change_json(path, splits=[train, validation])
    document = _document(folder, tmp_path)
    assert "6 images in train" in document.text
    assert "images in validation" not in document.text
    assert [len(one["splits"]) for one in document.classes] == [1, 1, 1]
