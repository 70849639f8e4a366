"""A tar as a source: images are where their bytes are, and what is read was found."""

import hashlib
import os
import pathlib
import pickle
import subprocess
import tarfile
import tempfile
import zlib

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources import tar_archive
from imagenet2012_subset.sources.source import Index, decoded
from imagenet2012_subset.sources.tar_archive import TarArchive, seal
from imagenet2012_subset.subset.select import select_validation
from imagenet2012_subset.tar.headers import BLOCK
from tests.shared import archives
from tests.shared.tars import Entry, header, make_tar, nested_tars, sealed

pytestmark = pytest.mark.usefixtures("platform")
quickly = settings(max_examples=40)

# In each form the image's name is in another place of the headers.
LONG = f"{'d' * 60}/{'e' * 60}/"
FORMS = {
    "plain": (tarfile.GNU_FORMAT, ""),
    "ustar prefix": (tarfile.USTAR_FORMAT, LONG),
    "GNU long name": (tarfile.GNU_FORMAT, LONG),
    "GNU longest name": (tarfile.GNU_FORMAT, LONG.ljust((64 << 10) - 30, "f") + "/"),
    "pax": (tarfile.PAX_FORMAT, LONG),
    "pax, not ASCII": (tarfile.PAX_FORMAT, "Ünï/"),
}
IMAGES = {
    archives.validation_name(n): archives.jpeg(n, (30 + 7 * n, 30)) for n in range(1, 5)
}


def _archive(folder: str | os.PathLike[str], data: bytes | None = None) -> TarArchive:
    """Opens an archive whose index is saved, after it was written."""
    path = epath.Path(folder) / VALIDATION.file_name
    if data is not None:
        path.write_bytes(data)
    return TarArchive(path, VALIDATION, epath.Path(folder) / "cache")


def _read(source: TarArchive) -> dict[str, bytes]:
    entries = source.index.entries
    return dict(zip(decoded(entries.names), source.read_images(entries), strict=True))


# What an archive contains.


def _indexed(data: bytes) -> Index:
    with tempfile.TemporaryDirectory() as folder:
        path = epath.Path(folder) / "archive.tar"
        path.write_bytes(data)
        return TarArchive(path, TRAINING).index


@quickly
@given(nested_tars())
def test_each_image_is_found_where_its_bytes_are(made):
    images, data, num_others = made
    found = _indexed(data)
    assert [
        (entry.name, data[entry.offset : entry.offset + entry.size])
        for entry in found.entries
    ] == [(e.name, e.data) for e in images]
    assert found.num_others == num_others
    assert len(found.others) == min(num_others, 5)


def test_only_the_first_other_files_are_named():
    names = [f"folder/{i}.txt" for i in range(9)]
    found = _indexed(archives.tar_bytes([(name, b"") for name in names]))
    assert (found.num_others, found.others) == (9, tuple(names[:5]))


HIDDEN = ["..x/", "./._x/", ".hidden/", "x/.y/", "@eaDir/", "__MACOSX/", "a/__MACOSX/"]
HIDDEN += ["PaxHeaders.1/", "a/PaxHeaders/"]
VISIBLE = ["", "./", "../", "train/", "a.b/", "xPaxHeaders/", "x__MACOSX/"]


@pytest.mark.parametrize("folder", HIDDEN + VISIBLE)
def test_what_is_in_hidden_folders_does_not_count(folder):
    data = archives.tar_bytes([(f"{folder}n01440764_1.JPEG", b"x")])
    assert len(_indexed(data).entries) == (folder in VISIBLE)
    outer = archives.tar_bytes([(f"{folder}n01440764.tar", data)])
    assert len(_indexed(outer).entries) == (folder in VISIBLE)


def test_a_member_called_tar_must_be_one():
    with pytest.raises(ArchiveError, match="no valid tar header"):
        _indexed(archives.tar_bytes([("n01440764.tar", b"<html>" * 200)]))
    with pytest.raises(ArchiveError, match="a header takes 512 bytes"):
        _indexed(archives.tar_bytes([("short.tar", b"x" * 100), ("next", b"")]))


def test_a_member_that_reaches_past_its_inner_tar_is_an_error():
    inner = sealed(header("n01440764_1.JPEG", 2 * BLOCK)) + bytes(BLOCK)
    data = archives.tar_bytes([("n01440764.tar", inner), ("other", bytes(9 * BLOCK))])
    with pytest.raises(ArchiveError, match=r"n01440764\.tar ends at byte 1,536"):
        _indexed(data)


# What explains that images are missing.


PADDING = tar_archive._MAX_PADDING
FLAT = archives.tar_bytes([("n01440764_1.JPEG", b"x")])[: 2 * BLOCK]
RESERVED = (
    "and only zeros follow up to byte {:,}: download tools reserve space before they "
    "write, so the download may not be finished"
)
SECOND = (
    "but a second archive follows at byte {:,} (cat does not join tars: use "
    "tar --concatenate, or download the original)"
)
OTHER = (
    "but other data follows at byte {:,}: a part in between may not have been "
    "downloaded"
)


@pytest.mark.parametrize(
    ("after", "remark"),
    [
        (bytes(PADDING), ""),
        (bytes(10 * BLOCK) + FLAT, ""),  # Padding is not looked at.
        (bytes(PADDING + BLOCK), RESERVED.format(PADDING + 3 * BLOCK)),
        (bytes(BLOCK) + FLAT + bytes(PADDING), SECOND.format(3 * BLOCK)),
        (bytes(PADDING - BLOCK) + FLAT, SECOND.format(PADDING + BLOCK)),
        (
            bytes(PADDING) + b"x" * 100 * BLOCK + bytes(PADDING),
            OTHER.format(PADDING + 2 * BLOCK),
        ),
        (
            # Data that is short, but not too short to be in one of the samples.
            bytes((1 << 20) + 5 * BLOCK) + b"x" * BLOCK + bytes(90 * BLOCK),
            OTHER.format((1 << 20) + 7 * BLOCK),
        ),
    ],
)
def test_what_follows_the_end_is_reported(after, remark):
    assert "; ".join(_indexed(FLAT + after).remarks) == (
        remark and f"the archive ends at byte 1,024, {remark}"
    )


def test_the_description_has_the_size_and_the_remarks(tmp_path):
    source = _archive(tmp_path, FLAT + bytes(PADDING + BLOCK))
    assert source.describe().startswith(
        f"it has {PADDING + 3 * BLOCK:,} bytes, the original {VALIDATION.size:,}; "
        "the archive ends at byte 1,024, and only zeros follow"
    )
    assert source.size == PADDING + 3 * BLOCK
    assert _archive(tmp_path).describe() == source.describe()  # From the saved index.


@pytest.mark.parametrize("appended", ["n01440764", "n99999999"])
def test_a_wrong_wnid_appended_to_a_name_is_an_error(appended):
    with pytest.raises(ArchiveError) as caught:
        _indexed(archives.tar_bytes([(f"n01443537_1_{appended}.JPEG", b"x")]))
    assert caught.value.problem == (
        f"contains n01443537_1.JPEG with {appended} appended to its name, but the "
        "image belongs to n01443537"
    )


def _problem(folder: pathlib.Path, data: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        select_validation(_archive(folder, data), len(IMAGES))
    return caught.value.problem


def test_tar_concatenate_joins_what_cat_does_not(tmp_path):
    images = [*IMAGES.items()]
    first, second = archives.tar_bytes(images[:2]), archives.tar_bytes(images[2:])
    problem = _problem(tmp_path, first + second)
    assert f"but a second archive follows at byte {len(first):,} (cat" in problem
    path = _archive(tmp_path, first).path
    (tmp_path / "second.tar").write_bytes(second)
    command = ["tar", "--concatenate", "-f", path, tmp_path / "second.tar"]
    subprocess.run(command, check=True)
    assert _read(_archive(tmp_path)) == IMAGES


@pytest.mark.parametrize(
    ("num_links", "members"), [(1, "1 member is a link"), (3, "3 members are links")]
)
def test_links_are_counted(tmp_path, num_links, members):
    entries = [Entry(*image) for image in IMAGES.items()]
    for number in range(num_links):
        entries[number] = Entry(entries[number].name, type=tarfile.SYMTYPE)
    problem = _problem(tmp_path, make_tar(entries, tarfile.GNU_FORMAT))
    assert f"is missing {num_links} of 4 images" in problem
    assert f"{members} without an image (pack what links point to: tar -h)" in problem


SYNSETS = {
    wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(n)) for n in range(9)]
    for wnid in ("n01440764", "n01443537")
}
TRAINING_TAR = archives.training_tar(SYNSETS)
OTHER_TARS = {
    "synset tars in a folder": archives.training_tar(
        {f"train/{wnid}": images for wnid, images in SYNSETS.items()}
    ),
    "validation images": archives.tar_bytes(IMAGES.items()),
    "devkit": archives.tar_bytes([("devkit/readme.txt", bytes(9000))]),
}


def _training_error(folder, content: bytes) -> ArchiveError:
    (folder / TRAINING.file_name).write_bytes(content)
    with pytest.raises(ArchiveError) as caught:
        TarArchive(epath.Path(folder) / TRAINING.file_name, TRAINING).listing()
    return caught.value


@pytest.mark.parametrize("length", [300, 700, 5000, 25_000])
def test_a_cut_download_can_be_resumed(tmp_path, length):
    error = _training_error(tmp_path, TRAINING_TAR[:length])
    assert "is cut off or damaged" in error.problem
    assert ("wget -c" in error.remedy) == (length >= 512)
    if length >= 512:
        assert f"at {length:,} of 147,897,477,120 bytes" in error.remedy


@pytest.mark.parametrize("content", OTHER_TARS.values(), ids=OTHER_TARS)
def test_a_cut_archive_of_another_kind_cannot_be_resumed(tmp_path, content):
    error = _training_error(tmp_path, content[:5000])
    assert "is cut off or damaged" in error.problem
    assert "wget" not in error.remedy


def test_damage_in_the_middle_is_not_a_cut_download(tmp_path):
    # In the header of the first image.
    content = TRAINING_TAR[:512] + b"\xff" * 8 + TRAINING_TAR[520:]
    error = _training_error(tmp_path, content)
    assert "no valid tar header at byte 512 of" in error.problem
    assert "wget" not in error.remedy
    assert "sha256" in error.remedy


# Reading images, with what was found and with a saved index that is wrong.


def _in_form(form: str) -> bytes:
    tar_format, prefix = FORMS[form]
    files = [(prefix + name, data) for name, data in IMAGES.items()]
    return archives.tar_bytes(files, tar_format)


@pytest.mark.parametrize("form", FORMS)
def test_images_are_read_again_with_the_saved_index(tmp_path, form):
    assert _read(_archive(tmp_path, _in_form(form))) == IMAGES
    (cached,) = (tmp_path / "cache").iterdir()
    saved = cached.stat().st_mtime_ns
    again = _archive(tmp_path)
    assert _read(again) == IMAGES
    assert cached.stat().st_mtime_ns == saved
    entry = again.index.entries[1]
    path = f"{FORMS[form][1]}{entry.name}"
    assert again.where(entry) == f"{path} at byte {entry.offset:,}"


def test_entries_are_looked_up_by_name_and_read_by_a_pickled_source(tmp_path):
    files = [*IMAGES.items(), ("README", b"")]
    source = _archive(tmp_path, archives.tar_bytes(files))
    first, *_, last = IMAGES
    entries = source.look_up([last, first, "n01440764_9.JPEG"])
    assert decoded(entries.names) == [first, last]
    assert list(source.read_images(entries)) == [IMAGES[first], IMAGES[last]]
    assert not list(source.read_images(source.look_up([])))
    listing = source.listing()
    assert listing.names.tolist() == [name.encode() for name in IMAGES]
    assert (listing.num_others, listing.others) == (1, ("README",))
    copy, entries = pickle.loads(pickle.dumps((source, entries)))
    assert not copy.__dict__.keys() & {"index", "files"}
    assert list(copy.read_images(entries)) == [IMAGES[first], IMAGES[last]]
    error = copy.damaged(entries[0], "is damaged")
    assert error.path == str(source.path)
    assert (
        error.problem == f"{first}, {entries[0].size:,} bytes at byte 512, is damaged"
    )


def test_sha256_is_that_of_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "_HASH_BYTES", 1000)
    data = archives.tar_bytes(IMAGES.items())
    assert _archive(tmp_path, data).sha256() == hashlib.sha256(data).hexdigest()


def _forge_seals(folder: pathlib.Path, saved: dict[str, np.ndarray]) -> None:
    """Computes the seals anew, so that they fit the names and headers."""
    data = (folder / VALIDATION.file_name).read_bytes()
    for i, name in enumerate(saved["names"].tolist()):
        end = int(saved["offsets"][i])
        saved["seals"][i] = seal(name, zlib.crc32(data[end - BLOCK : end]))


# Each gives other names, offsets and sizes of an index.
WRONG = {
    "names exchanged": lambda n, o, s: (np.roll(n, 1), o, s),
    "places exchanged": lambda n, o, s: (n, np.roll(o, 1), np.roll(s, 1)),
    "too short": lambda n, o, s: (n, o, s - 1),
    "too long": lambda n, o, s: (n, o, s + 1),
    "inside the image": lambda n, o, s: (n, o + BLOCK, s - BLOCK),
    "no room for a header": lambda n, o, s: (n, o * 0 + BLOCK - 1, s),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_index_is_an_error_that_names_it(tmp_path, form, wrong, forged):
    assert _archive(tmp_path, _in_form(form)).index
    (cached,) = (tmp_path / "cache").iterdir()
    with np.load(cached) as arrays:
        saved = dict(arrays)
    columns = ("names", "offsets", "sizes")
    saved |= zip(columns, WRONG[wrong](*(saved[c] for c in columns)), strict=True)
    if forged:
        _forge_seals(tmp_path, saved)
    np.savez(cached, **saved)
    source = pickle.loads(pickle.dumps(_archive(tmp_path)))
    with pytest.raises(ArchiveError, match="does not contain ILSVRC2012") as caught:
        _read(source)
    assert caught.value.path == str(tmp_path / VALIDATION.file_name)
    assert f"delete {cached}" in caught.value.remedy
    cached.unlink()
    assert _read(_archive(tmp_path)) == IMAGES


def _of_user(uid: int, step: int = 1) -> bytes:
    images = [*IMAGES.items()][::step]
    members = [Entry(name, data, uid=uid) for name, data in images]
    return make_tar(members, tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "after",
    # Byte 110 is one of the user's number.
    [_of_user(1)[:110] + b"7" + _of_user(1)[111:], _of_user(2), _of_user(1, -1)],
    ids=["a changed header", "another image of that name", "another order"],
)
def test_an_archive_that_changes_while_it_is_read_is_an_error(tmp_path, after):
    source = _archive(tmp_path, _of_user(1))
    entries = source.index.entries
    images = source.read_images(entries)
    with open(source.path, "r+b") as output:
        output.write(after)
    with pytest.raises(ArchiveError, match="was written to or replaced"):
        next(images)
    # So is a change that escapes the comparison of change times.
    source.table.changed_ns[:] = os.stat(source.path).st_ctime_ns
    source._index_folder = None
    with pytest.raises(ArchiveError, match="no longer contains ILSVRC") as caught:
        list(source.read_images(entries))
    assert ".index.npz" not in caught.value.remedy
