"""A kept index that is whole but wrong: no image may come out under another's name."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile
import zlib

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.originals import VALIDATION
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.source import Source
from imagenet2012_subset.sources.tar_index import seal
from tests.shared import archives

BLOCK = tarfile.BLOCKSIZE
# Each has the image's name in another place of the headers.
FORMS = {
    "plain": (tarfile.GNU_FORMAT, ""),
    "ustar prefix": (tarfile.USTAR_FORMAT, f"{'d' * 60}/{'e' * 60}/"),
    "GNU long name": (tarfile.GNU_FORMAT, f"{'d' * 60}/{'e' * 60}/"),
    "GNU longer name": (tarfile.GNU_FORMAT, "d" * 60 + "/" + "e/" * 600),
    "pax": (tarfile.PAX_FORMAT, f"{'d' * 60}/{'e' * 60}/"),
    "pax, not ASCII": (tarfile.PAX_FORMAT, "Ünï/"),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request) -> tuple[int, str]:
    return request.param


@pytest.fixture
def images() -> dict[str, bytes]:
    """Images of different lengths, by name."""
    return {
        archives.validation_name(n): archives.jpeg(n, (30 + 7 * n, 30))
        for n in range(1, 5)
    }


@pytest.fixture
def folder(tmp_path, form, images) -> pathlib.Path:
    """A manual directory, and what is kept of its validation archive."""
    tar_format, prefix = form
    files = [(prefix + name, data) for name, data in images.items()]
    path = tmp_path / VALIDATION.file_name
    path.write_bytes(archives.tar_bytes(files, tar_format))
    assert _source(tmp_path).index()
    return tmp_path


def _source(folder: pathlib.Path) -> Source:
    return find_source(epath.Path(folder), VALIDATION, epath.Path(folder / "kept"))


def _read(folder: pathlib.Path) -> dict[str, bytes]:
    source = _source(folder)
    entries = source.index().entries
    data = map(bytes, source.read_in_order(entries))
    return dict(zip([entry.name for entry in entries], data, strict=True))


def _kept(folder: pathlib.Path) -> pathlib.Path:
    (path,) = (folder / "kept").iterdir()
    return path


def _rewrite(folder: pathlib.Path, **columns: np.ndarray) -> None:
    path = _kept(folder)
    with np.load(path) as arrays:
        kept = dict(arrays)
    assert all((kept[name] != column).any() for name, column in columns.items())
    np.savez(path, **(kept | columns))


def _column(folder: pathlib.Path, name: str) -> np.ndarray:
    with np.load(_kept(folder)) as arrays:
        return arrays[name]


def _forged_seals(folder: pathlib.Path, names: np.ndarray) -> np.ndarray:
    """Returns the seals of an index in which these names belong to the headers."""
    data = (folder / VALIDATION.file_name).read_bytes()
    return np.array(
        [
            seal(name, zlib.crc32(data[offset - BLOCK : offset]))
            for name, offset in zip(names, _column(folder, "offsets"), strict=True)
        ]
    )


def _refused(folder: pathlib.Path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        _read(folder)
    return caught.value


def test_a_right_index_gives_the_images(folder, images):
    assert _read(folder) == images
    kept = _kept(folder).stat().st_mtime_ns
    assert _read(folder) == images
    assert _kept(folder).stat().st_mtime_ns == kept


def test_exchanged_names_are_refused(folder):
    _rewrite(folder, names=np.roll(_column(folder, "names"), 1))
    assert _refused(folder).path == str(folder / VALIDATION.file_name)


def test_exchanged_names_with_seals_that_fit_are_refused(folder):
    names = np.roll(_column(folder, "names"), 1)
    _rewrite(folder, names=names, seals=_forged_seals(folder, names))
    _refused(folder)


def test_exchanged_places_with_seals_that_fit_are_refused(folder):
    offsets = np.roll(_column(folder, "offsets"), 1)
    sizes = np.roll(_column(folder, "sizes"), 1)
    _rewrite(folder, offsets=offsets, sizes=sizes)
    _rewrite(folder, seals=_forged_seals(folder, _column(folder, "names")))
    _refused(folder)


@pytest.mark.parametrize("by", [-1, 1])
def test_sizes_that_are_not_the_headers_are_refused(folder, by):
    _rewrite(folder, sizes=_column(folder, "sizes") + by)
    _refused(folder)


def test_places_that_are_no_headers_are_refused(folder):
    offsets = _column(folder, "offsets").copy()
    offsets[0] += BLOCK
    sizes = _column(folder, "sizes").copy()
    sizes[0] -= BLOCK
    _rewrite(folder, offsets=offsets, sizes=sizes)
    _rewrite(folder, seals=_forged_seals(folder, _column(folder, "names")))
    _refused(folder)


def test_the_error_names_the_index_and_without_it_all_is_well(folder, images):
    _rewrite(folder, names=np.roll(_column(folder, "names"), 1))
    error = _refused(folder)
    assert str(_kept(folder)) in error.remedy
    assert "delete" in error.remedy
    _kept(folder).unlink()
    assert _read(folder) == images


def test_an_archive_that_changes_meanwhile_is_not_the_fault_of_the_index(
    folder, images, form
):
    source = _source(folder)
    entries = source.index().entries
    tar_format, prefix = form
    files = [(prefix + name, data) for name, data in reversed(images.items())]
    path = folder / VALIDATION.file_name
    with path.open("r+b") as output:
        output.write(archives.tar_bytes(files, tar_format))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(ArchiveError, match="no longer has") as caught:
        list(source.read_in_order(entries))
    assert ".index.npz" not in caught.value.remedy


def test_another_image_of_the_same_name_and_size_is_noticed(tmp_path, images):
    path = tmp_path / VALIDATION.file_name
    path.write_bytes(_tar_of_age(images, 1))
    source = _source(tmp_path)
    entries = source.index().entries
    with path.open("r+b") as output:
        output.write(_tar_of_age(images, 2))
    with pytest.raises(ArchiveError):
        list(source.read_in_order(entries))


def _tar_of_age(images: dict[str, bytes], mtime: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = mtime
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def test_a_shard_written_elsewhere_names_the_index_too(folder):
    _rewrite(folder, names=np.roll(_column(folder, "names"), 1))
    source = _source(folder).origin.open()
    with pytest.raises(ArchiveError) as caught:
        list(source.read_in_order(source.index().entries))
    assert str(_kept(folder)) in str(caught.value)


def test_a_global_pax_header_before_the_images_does_no_harm(tmp_path, images):
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream,
        mode="w",
        format=tarfile.PAX_FORMAT,
        pax_headers={"comment": "x"},
    ) as tar:
        for name, data in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / VALIDATION.file_name).write_bytes(stream.getvalue())
    assert _read(tmp_path) == images
    assert _read(tmp_path) == images
