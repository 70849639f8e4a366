"""A tar that is missing images is explained by what was seen in it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.subset.select import select_training, select_validation
from tests.shared import archives

NAMES = [archives.validation_name(number) for number in range(1, 7)]
IMAGES = [(name, archives.jpeg(number)) for number, name in enumerate(NAMES)]
FIRST, SECOND = archives.tar_bytes(IMAGES[:3]), archives.tar_bytes(IMAGES[3:])
FIRST_END = 3 * (512 + 1536)

HIDDEN = [".Trash-1000", ".AppleDouble", "@eaDir", "__MACOSX", "PaxHeaders.1234"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / VALIDATION.file_name


def _error(path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        select_validation(find_source(epath.Path(path).parent, VALIDATION), 6)
    assert caught.value.path == str(path)
    return caught.value


@pytest.mark.parametrize("full_size", [40_000, 10_000_000, VALIDATION.size])
def test_zeros_to_the_full_size(path, full_size):
    path.write_bytes(FIRST[:FIRST_END])
    os.truncate(path, full_size)
    assert (
        f"the archive ends at byte {FIRST_END:,}, and only zeros follow up to byte "
        f"{full_size:,}: download tools reserve space before they write, so the "
        "download may not be finished"
    ) in _error(path).problem


def test_zeros_of_ordinary_padding_are_not_mentioned(path):
    path.write_bytes(FIRST)
    problem = _error(path).problem
    assert problem.startswith("is missing 3 of 6 images")
    assert "zeros" not in problem


@pytest.mark.parametrize("num_zeros", [0, 10_240, 3 << 20])
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_second_archive_appended_by_cat(path, num_zeros, tar_format):
    long = [(f"{'folder' * 20}/{name}", data) for name, data in IMAGES[3:]]
    second = archives.tar_bytes(long, tar_format)
    path.write_bytes(FIRST + bytes(num_zeros) + second)
    assert (
        f"the archive ends at byte {FIRST_END:,}, but a second archive follows at byte "
        f"{len(FIRST) + num_zeros:,} (cat does not join tars"
    ) in _error(path).problem
    # tar --concatenate joins them.
    path.write_bytes(FIRST)
    (path.parent / "second.tar").write_bytes(second)
    command = ["tar", "--concatenate", "-f", path, path.parent / "second.tar"]
    subprocess.run(command, check=True)
    source = find_source(epath.Path(path).parent, VALIDATION)
    assert len(select_validation(source, 6)) == 6


def test_a_part_in_between_that_was_not_downloaded(path):
    whole = archives.tar_bytes([(n, os.urandom(90_000)) for n, _ in IMAGES])
    path.write_bytes(whole[:90_624] + bytes(90_624) + whole[181_248:][10_000:])
    problem = _error(path).problem
    assert "the archive ends at byte 90,624, but other data follows at byte" in problem
    assert "a part in between may not have been downloaded" in problem


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize(
    ("num_links", "members"), [(1, "1 member is a link"), (3, "3 members are links")]
)
def test_links_are_counted(path, kind, num_links, members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for number, (name, data) in enumerate(IMAGES):
            member = tarfile.TarInfo(name)
            if number < num_links:
                member.type, member.linkname = kind, f"/data/{name}"
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    path.write_bytes(stream.getvalue())
    problem = _error(path).problem
    assert f"is missing {num_links} of 6 images" in problem
    assert members in problem
    assert "tar -h" in problem


def test_tar_h_packs_what_links_point_to(path, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    for name, data in IMAGES:
        (tmp_path / f"{name}.data").write_bytes(data)
        (folder / name).symlink_to(tmp_path / f"{name}.data")
    subprocess.run(["tar", "-cf", path, "-C", folder, "."], check=True)
    assert "6 members are links" in _error(path).problem
    subprocess.run(["tar", "-h", "-cf", path, "-C", folder, "."], check=True)
    source = find_source(epath.Path(tmp_path), VALIDATION)
    images = select_validation(source, 6)
    assert {image.name: image.data for image in images} == dict(IMAGES)


@pytest.mark.parametrize("first", ["", "val/", "a/b/"])
@pytest.mark.parametrize("second", ["again/", "val/n01440764/"])
def test_both_places_of_a_name_are_given(path, first, second):
    twice = [(first + NAMES[0], b"1"), *IMAGES[1:], (second + NAMES[0], b"2")]
    path.write_bytes(archives.tar_bytes(twice))
    problem = _error(path).problem
    assert f"contains 1 image more than once ({NAMES[0]})" in problem
    assert f"is {first}{NAMES[0]} at byte 512 and {second}{NAMES[0]} at byte" in problem


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("above", ["", "./", "val/", "a/b/"])
def test_hidden_folders_are_ignored(path, hidden, above):
    copies = [(f"{above}{hidden}/{name}", b"not an image") for name in NAMES[:3]]
    copies += [(f"{above}{hidden}/files/{name}", b"not an image") for name in NAMES[3:]]
    path.write_bytes(archives.tar_bytes([*copies[:2], *IMAGES, *copies[2:]]))
    source = find_source(epath.Path(path).parent, VALIDATION)
    images = select_validation(source, 6)
    assert {image.name: image.data for image in images} == dict(IMAGES)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_folders_are_ignored_in_a_tree(tmp_path, hidden):
    for folder in ("val", f"val/{hidden}", f"val/n01440764/{hidden}"):
        for name, data in IMAGES if folder == "val" else [(n, b"x") for n in NAMES]:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(data)
    images = select_validation(find_source(epath.Path(tmp_path), VALIDATION), 6)
    assert {image.name: image.data for image in images} == dict(IMAGES)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_synset_tars_in_hidden_folders_are_ignored(tmp_path, hidden):
    image = ("n01440764_1.JPEG", archives.jpeg(1))
    synset = archives.tar_bytes([image])
    path = tmp_path / TRAINING.file_name
    path.write_bytes(
        archives.tar_bytes(
            [("n01440764.tar", synset), (f"{hidden}/n01440764.tar", synset)]
        )
    )
    source = find_source(epath.Path(tmp_path), TRAINING)
    assert len(select_training(source, [image[0]])) == 1


def _training_error(path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        find_source(epath.Path(path).parent, TRAINING).listing()
    return caught.value


SYNSETS = {
    wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(n)) for n in range(9)]
    for wnid in ("n01440764", "n01443537")
}


@pytest.mark.parametrize("length", [300, 700, 5000, 25_000])
def test_a_cut_download_can_be_resumed(tmp_path, length):
    path = tmp_path / TRAINING.file_name
    path.write_bytes(archives.training_tar(SYNSETS)[:length])
    error = _training_error(path)
    assert "is cut off or damaged" in error.problem
    assert ("wget -c" in error.remedy) == (length >= 512)
    if length >= 512:
        assert f"at {length:,} of 147,897,477,120 bytes" in error.remedy


def test_a_cut_archive_of_another_kind_cannot_be_resumed(tmp_path):
    path = tmp_path / TRAINING.file_name
    folders = {f"train/{wnid}": images for wnid, images in SYNSETS.items()}
    for content in (
        archives.training_tar(folders)[:5000],
        archives.tar_bytes(IMAGES)[:5000],
        archives.tar_bytes([("devkit/readme.txt", bytes(9000))])[:5000],
    ):
        path.write_bytes(content)
        error = _training_error(path)
        assert "is cut off or damaged" in error.problem
        assert "wget" not in error.remedy


def test_damage_in_the_middle_is_not_a_cut_download(tmp_path):
    path = tmp_path / TRAINING.file_name
    content = bytearray(archives.training_tar(SYNSETS))
    content[512:520] = b"\xff" * 8  # The header of the first image.
    path.write_bytes(content)
    error = _training_error(path)
    assert "no valid tar header at byte 512 of" in error.problem
    assert "wget" not in error.remedy
    assert "sha256" in error.remedy
