"""Damage in an archive is an error, unless it affects no requested image."""

import itertools
import random
import re
import tarfile

import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from tests.shared import archives, faults

BOTH = pytest.mark.parametrize("original", [TRAINING, VALIDATION])

LISTED = "n01443537_7.JPEG"  # In the middle synset; the others are at the ends.
UNLISTED = "n01443537_2.JPEG"
LISTED_VALIDATION = archives.validation_name(1)
# The header of a synset's tar, of an image in one, and of a validation image.
HEADERS = pytest.mark.parametrize(
    ("original", "name"),
    [
        (TRAINING, "n01443537.tar"),
        (TRAINING, LISTED),
        (VALIDATION, LISTED_VALIDATION),
    ],
    ids=["outer", "inner", "validation"],
)


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


def _archive(small_data, original):
    path = small_data.manual_dir / original.file_name
    return path, path.read_bytes()


def _place(content, name):
    (place,) = [place for place in faults.places(content) if place.name == name]
    return place


def _cut_points(content):
    points = set(range(0, len(content), 211))
    for place in faults.places(content):
        _, header, data, size = place
        points.update([header, header + 1, header + 200, header + 511])
        points.update([data, data + 1, data + size // 2, data + size - 1])
        points.update([data + size, place.end - 1, place.end])
    points.update(len(content) - n for n in (1, 511, 512, 513, 1023, 1024, 1025))
    return sorted(points - {len(content)})


@BOTH
def test_cut_anywhere(small_data, original):
    read_rule = faults.ReadRule(small_data, original)
    content = read_rule.content
    cut_points = _cut_points(content)
    assert len(cut_points) > 150
    last = max(place.data + place.size for place in faults.places(content))
    built = 0
    for point in cut_points:
        error = read_rule.outcome(content[:point])
        if error is None:
            assert point >= last
            built += 1
        elif point:
            pattern = r"is cut off or damaged|is missing \d of \d images|ends at byte"
            # The first bytes of a tar are a name.
            pattern += "|is a text file" if point < 100 else ""
            assert re.search(pattern, error.problem), error
    assert built  # Of an archive whose end blocks are missing.


@BOTH
@pytest.mark.parametrize(
    "cut", ["outer header", "inner header", "image", "padding", "member", "end blocks"]
)
def test_cut_while_building(rule, small_data, original, cut):
    path, content = _archive(small_data, original)
    places = faults.places(content)
    outer = [place for place in places if place.name.endswith(".tar")] or places
    synset, image = outer[1], places[-1]
    point = {
        "outer header": synset.header + 100,
        "inner header": image.header + 100,
        "image": image.data + image.size // 2,
        "padding": image.data + image.size + 1,
        "member": synset.header,
        "end blocks": outer[-1].end + 512,
    }[cut]
    path.write_bytes(content[:point])
    error = rule.outcome()
    # A synset's tar reaches to its own end blocks; a validation image has none.
    complete = cut == "end blocks" or (cut == "padding" and original is VALIDATION)
    assert (error is None) == complete
    assert complete or original.file_name in str(error)


@HEADERS
def test_flipped_bit_in_a_header(small_data, original, name):
    read_rule = faults.ReadRule(small_data, original)
    content = read_rule.content
    start = _place(content, name).header
    unnoticed = []
    for i in range(faults.BLOCK):
        flipped = bytes([content[start + i] ^ 1 << i % 8])
        error = read_rule.outcome(faults.overwritten(content, start + i, flipped))
        if error is None:
            unnoticed.append(i)
        else:
            assert isinstance(error, ArchiveError)
            assert "header" in error.problem or "is missing" in error.problem
    # The checksum covers every byte but its own, of which the last has no meaning.
    assert set(unnoticed) <= set(range(148, 156))
    assert len(unnoticed) < 4


def _base_256(number):
    return tarfile.itn(number, 12, tarfile.GNU_FORMAT)


@HEADERS
@pytest.mark.parametrize("field", [_base_256(-512), _base_256(2**63), b"77777777777\0"])
def test_absurd_sizes_while_building(rule, small_data, original, name, field):
    path, content = _archive(small_data, original)
    path.write_bytes(faults.with_size_field(content, _place(content, name), field))
    rule.refuses(original.file_name, "byte")


@BOTH
@pytest.mark.parametrize("fill", [bytes, random.Random(0).randbytes])
@pytest.mark.parametrize("length", [2048, 10240])
def test_hole_anywhere(small_data, original, fill, length):
    read_rule = faults.ReadRule(small_data, original)
    content = read_rule.content
    refused = 0
    for offset in range(0, len(content) - length, 512):
        hole = faults.overwritten(content, offset, fill(length))
        error = read_rule.outcome(hole)
        refused += error is not None
    assert refused > 10


WANTED = pytest.mark.parametrize(
    ("original", "name"), [(TRAINING, LISTED), (VALIDATION, LISTED_VALIDATION)]
)


@WANTED
@pytest.mark.parametrize(
    ("fill", "problem"),
    [
        (bytes, "contains only zeros"),
        (random.Random(0).randbytes, "is of an unknown format"),
    ],
)
def test_hole_where_a_wanted_image_is(rule, small_data, original, name, fill, problem):
    path, content = _archive(small_data, original)
    place = _place(content, name)
    path.write_bytes(faults.overwritten(content, place.data, fill(place.size)))
    error = rule.refuses(original.file_name, name, problem, "sha256")
    assert isinstance(error, ArchiveError)


@WANTED
@pytest.mark.parametrize(
    ("part", "problem"),
    [("start", "is of an unknown format"), ("end", "no end-of-image marker")],
)
@pytest.mark.parametrize("fill", [bytes, random.Random(0).randbytes])
def test_hole_at_one_end_of_a_wanted_image(
    rule, small_data, original, name, part, problem, fill
):
    path, content = _archive(small_data, original)
    place = _place(content, name)
    half = place.size // 2
    offset = place.data if part == "start" else place.data + place.size - half
    path.write_bytes(faults.overwritten(content, offset, fill(half)))
    rule.refuses(original.file_name, name, problem)


def _replace(small_data, name, change):
    """Writes the archives with another content of one image."""
    small_data.training = {
        wnid: [(n, change(data) if n == name else data) for n, data in images]
        for wnid, images in small_data.training.items()
    }
    small_data.validation = [
        (n, change(data) if n == name else data) for n, data in small_data.validation
    ]
    small_data.write()


@WANTED
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"not an image\n", "is a text file, not a JPEG"),
        (b"<html>Not found</html>" * 99, "is a web page, not a JPEG"),
        (b"\xff\xd8\xff\xd9", "is a JPEG without image data"),
        (b"\xff\xd8\xff", "3 bytes at byte"),
        (b"\xff", "is of an unknown format (FF ...), not a JPEG"),
    ],
)
def test_wanted_image_is_none(rule, small_data, original, name, content, problem):
    _replace(small_data, name, lambda _: content)
    error = rule.refuses(original.file_name, name, problem)
    assert isinstance(error, ArchiveError)


@WANTED
@pytest.mark.parametrize("lost", [1, 2, 3, 10, 100, 1000])
def test_wanted_image_is_cut_off(rule, small_data, original, name, lost):
    _replace(small_data, name, lambda data: data[:-lost])
    error = rule.refuses(original.file_name, name, "sha256")
    assert re.search("is cut off|is a JPEG without|is .* not a JPEG", error.problem)


def test_wanted_image_is_cut_off_anywhere(small_data):
    read_rule = faults.ReadRule(small_data, VALIDATION)
    name, data = small_data.validation[1]
    for size in itertools.chain(range(1, len(data) - 9, 13), range(-9, 0)):
        small_data.validation[1] = (name, data[:size])
        error = read_rule.outcome(archives.tar_bytes(small_data.validation))
        assert error is not None, f"{size} of {len(data)} bytes"
        assert name in error.problem


@WANTED
def test_wanted_image_lacks_its_last_byte(rule, small_data, original, name):
    # Of this one TensorFlow's decoder does not notice it.
    _replace(small_data, name, lambda _: archives.jpeg(25)[:-1])
    rule.refuses(original.file_name, name)


@pytest.mark.parametrize(
    "name", ["n02077923_14822.JPEG", "n02105855_2933.JPEG"], ids=["cmyk", "png"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\xff\xd8\xff\xda\0\2\0\0\xff\xd9",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_damaged_image_that_is_to_be_converted(build, small_data, name, content):
    wnid = name.partition("_")[0]
    small_data.training[wnid] = [(name, content)]
    small_data.write()
    small_data.subset_list.write_text(name)
    with pytest.raises(ArchiveError, match=f"{TRAINING.file_name}: {name}"):
        build()


def test_unlisted_name_twice(rule, small_data):
    again = (UNLISTED, archives.jpeg(77))
    small_data.training["n01443537"].append(again)
    small_data.write()
    rule.builds()


@pytest.mark.parametrize(
    "content", [b"", b"text", bytes(3000), random.Random(0).randbytes(3000)]
)
def test_damage_of_unlisted_images_only(rule, small_data, content):
    listed = set(small_data.listed)
    small_data.training = {
        wnid: [(name, data if name in listed else content) for name, data in images]
        for wnid, images in small_data.training.items()
    }
    small_data.write()
    rule.builds()


def test_hole_in_an_unlisted_image(rule, small_data):
    path, content = _archive(small_data, TRAINING)
    place = _place(content, UNLISTED)
    path.write_bytes(faults.overwritten(content, place.data, bytes(place.size)))
    rule.builds()


def test_damaged_header_of_an_unlisted_image(rule, small_data):
    # Where the next one starts is not known then.
    path, content = _archive(small_data, TRAINING)
    place = _place(content, UNLISTED)
    path.write_bytes(faults.overwritten(content, place.header, b"\xff"))
    rule.refuses(TRAINING.file_name, f"no valid tar header at byte {place.header:,}")
