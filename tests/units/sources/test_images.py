"""Images as a sequence, in the form that the dataset stores."""

from __future__ import annotations

import os

import pytest
from etils import epath
from PIL import Image as PilImage

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.images import Image, Images
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.shared import archives

_PIXELS = PilImage.frombytes("RGB", (40, 30), os.urandom(3600))
CMYK, PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"
STORED = {
    "n01440764_1.JPEG": archives.jpeg(1),
    CMYK: archives.encode(_PIXELS.convert("CMYK")),
    PNG: archives.encode(_PIXELS, "PNG"),
    archives.validation_name(1): archives.jpeg(2),
}
EXPECTED = [
    Image(name, wnid, jpeg.to_rgb_jpeg(name, data))
    for (name, data), wnid in zip(
        STORED.items(),
        "n01440764 n02447366 n02105855 n01751748".split(),
        strict=True,
    )
]


class _Converted(TarArchive):
    stores_converted = True


def _images(folder, files=STORED, source_class=TarArchive) -> Images:
    path = epath.Path(folder) / "archive.tar"
    path.write_bytes(archives.tar_bytes(files.items()))
    source = source_class(path, TRAINING)
    return Images(source, source.index.entries)


def test_images_are_a_sequence(tmp_path):
    images = _images(tmp_path)
    assert list(images) == EXPECTED
    assert [images[i] for i in range(-4, 4)] == [*EXPECTED, *EXPECTED]
    assert list(images.take([3, 0])) == [EXPECTED[3], EXPECTED[0]]
    assert len(images.take([3, 0])) == 2
    assert list(images.staged(epath.Path(tmp_path))) == EXPECTED
    assert repr(images) == f"<4 images in {tmp_path / 'archive.tar'}>"
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"image {index} of 4"):
            images[index]


def test_the_sizes_are_those_after_conversion_and_only_converted_images_are_read(
    tmp_path, monkeypatch
):
    images = _images(tmp_path)
    read = []
    read_images = images.source.read_images
    monkeypatch.setattr(
        images.source,
        "read_images",
        lambda entries: read.extend(e.name for e in entries) or read_images(entries),
    )
    assert images.stored_sizes() == [len(image.data) for image in EXPECTED]
    assert read == [CMYK, PNG]


def test_what_is_converted_already_is_not_converted_again(tmp_path):
    # A CMYK JPEG that is left as it is shows that nothing converts it.
    stored = STORED | {PNG: archives.jpeg(3)}
    images = _images(tmp_path, stored, _Converted)
    assert [image.data for image in images] == list(stored.values())
    assert images.stored_sizes() == [len(data) for data in stored.values()]
    with pytest.raises(ArchiveError, match="is a PNG image, not a JPEG"):
        list(_images(tmp_path, STORED, _Converted))


def test_a_defect_is_an_error_of_the_source(tmp_path):
    name = "n01440764_1.JPEG"
    images = _images(tmp_path, STORED | {name: STORED[name][:-40]})
    with pytest.raises(ArchiveError) as caught:
        list(images)
    entry = images.entries[0]
    problem = "is cut off: no end-of-image marker follows its pixels"
    assert str(caught.value) == str(images.source.damaged(entry, problem))
    assert images[1] == EXPECTED[1]
