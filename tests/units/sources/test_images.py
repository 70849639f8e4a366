"""Images as a sequence, in the form that the dataset stores."""

import os
from unittest import mock

import pytest
from etils import epath
from PIL import Image as PilImage

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.image_folders import ImageFolders, Layout
from imagenet2012_subset.sources.images import Image, Images
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.shared import archives

pytestmark = pytest.mark.usefixtures("converted_here")
_PIXELS = PilImage.frombytes("RGB", (40, 30), os.urandom(3600))
CMYK, PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"
STORED = {
    "n01440764_1.JPEG": archives.jpeg(1),
    CMYK: archives.encode(_PIXELS.convert("CMYK")),
    PNG: archives.encode(_PIXELS, "PNG"),
    archives.validation_name(1): archives.jpeg(2),
}


@pytest.fixture
def expected() -> list[Image]:
    """The stored images as the dataset has them."""
    return [
        Image(name, names.wnid(name), jpeg.to_rgb_jpeg(name, data))
        for name, data in STORED.items()
    ]


class _Converted(TarArchive):
    stores_converted = True


def _images(folder, files=STORED, source_class=TarArchive) -> Images:
    path = epath.Path(folder) / "archive.tar"
    path.write_bytes(archives.tar_bytes(files.items()))
    source = source_class(path, TRAINING)
    return Images(source, source.index.entries)


def test_images_are_a_sequence(tmp_path, expected):
    images = _images(tmp_path)
    assert list(images) == expected
    assert [images[i] for i in range(-4, 4)] == [*expected, *expected]
    assert list(images.take([3, 0])) == [expected[3], expected[0]]
    assert len(images.take([3, 0])) == 2
    assert list(images.staged(epath.Path(tmp_path))) == expected
    assert repr(images) == f"<4 images in {tmp_path / 'archive.tar'}>"
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"image {index} of 4"):
            images[index]


def test_the_sizes_are_those_after_conversion_and_only_converted_images_are_read(
    tmp_path, monkeypatch, expected
):
    images = _images(tmp_path)
    read = mock.Mock(wraps=images.source.read_images)
    monkeypatch.setattr(images.source, "read_images", read)
    assert images.stored_sizes() == [len(image.data) for image in expected]
    (entries,) = read.call_args.args
    assert read.call_count == 1
    assert [entry.name for entry in entries] == [CMYK, PNG]


def test_what_is_converted_already_is_not_converted_again(tmp_path):
    # A CMYK JPEG that is left as it is shows that nothing converts it.
    stored = STORED | {PNG: archives.jpeg(3)}
    images = _images(tmp_path, stored, _Converted)
    assert [image.data for image in images] == list(stored.values())
    assert images.stored_sizes() == [len(data) for data in stored.values()]
    with pytest.raises(ArchiveError, match="is a PNG image, not a JPEG"):
        list(_images(tmp_path, STORED, _Converted))


def test_a_defect_is_an_error_of_the_source(tmp_path, expected):
    name = "n01440764_1.JPEG"
    images = _images(tmp_path, STORED | {name: STORED[name][:-40]})
    with pytest.raises(ArchiveError) as caught:
        list(images)
    entry = images.entries[0]
    problem = "is cut off: no end-of-image marker follows its pixels"
    assert str(caught.value) == str(images.source.damaged(entry, problem))
    assert images[1] == expected[1]


NAMES = [f"n01440764_{number}.JPEG" for number in range(1, 41)]


@pytest.mark.parametrize(
    ("image_format", "num_images", "end"),
    [
        ("PNG", 39, "a PNG image, not a JPEG; of 41 images compared, 39 are not JPEGs"),
        ("GIF", 39, "a GIF image, not a JPEG; of 41 images compared, 39 are not JPEGs"),
        ("WEBP", 2, "a WebP image, not a JPEG; of 41 images compared, 2 are not JPEGs"),
        ("GIF", 1, "a GIF image, not a JPEG"),
    ],
)
def test_images_in_another_format_are_counted(tmp_path, image_format, num_images, end):
    content = dict.fromkeys(NAMES, archives.jpeg(1)) | {PNG: STORED[PNG]}
    other = archives.encode(_PIXELS, image_format)
    content |= dict.fromkeys(NAMES[:num_images], other)
    with pytest.raises(ArchiveError, match=NAMES[0]) as caught:
        list(_images(tmp_path, content))
    assert caught.value.problem.endswith(f" is {end}")


def test_of_many_images_a_sample_is_compared(tmp_path):
    names = [f"n01440764_{number}.JPEG" for number in range(1, 1501)]
    end = "; of 500 images compared, 500 are not JPEGs"
    with pytest.raises(ArchiveError, match=end):
        list(_images(tmp_path, dict.fromkeys(names, b"GIF89a")))


def test_damage_during_the_comparison_does_not_hide_the_error(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"GIF89a")
    source = ImageFolders([Layout(str(tmp_path), False, False)], TRAINING)
    images = iter(Images(source, source.look_up(NAMES)))
    (tmp_path / max(NAMES)).unlink()
    with pytest.raises(ArchiveError, match=r"not a JPEG; of \d+ images compared"):
        next(images)
