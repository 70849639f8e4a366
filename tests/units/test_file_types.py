"""What a file is follows from its bytes, as the libraries of each format write them."""

import bz2
import gzip
import io
import lzma
import subprocess
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from imagenet2012_subset.file_types import START_BYTES, FileType, file_type
from tests.shared import archives


def _image(image_format: str) -> bytes:
    return archives.encode(Image.new("RGB", (40, 30)), image_format)


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"x")
    return stream.getvalue()


def _saved(save: Callable[..., object], *values: object, **arrays: object) -> bytes:
    """Returns what a function of NumPy writes into a file."""
    stream = io.BytesIO()
    save(stream, *values, **arrays)
    return stream.getvalue()


def _parquet() -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"label": [1, 2]}), stream)
    return stream.getvalue()


NPZ = _saved(np.savez, images=np.zeros((2, 3)))
PARQUET = _parquet()
LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:b08200a27a8e34218a0e58fde36b0fe8f73bc377f4acea2d91602057c3ca45bb\n"
    b"size 147897477120\n"
)
S3_ERROR = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_image("JPEG"), FileType.JPEG),
        (_image("PNG"), FileType.PNG),
        (_image("GIF"), FileType.GIF),
        (_image("WEBP"), FileType.WEBP),
        (_image("BMP"), FileType.BMP),
        (_image("TIFF"), FileType.TIFF),
        (gzip.compress(b"x" * 5000), FileType.GZIP),
        (bz2.compress(b"x" * 5000), FileType.BZIP2),
        (lzma.compress(b"x" * 5000), FileType.XZ),
        (zipped("a.JPEG"), FileType.ZIP),
        (NPZ, FileType.NPZ),
        (_saved(np.save, np.zeros(3)), FileType.NPY),
        (PARQUET, FileType.PARQUET),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), FileType.HDF5),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2", FileType.APPLE_DOUBLE),
        (LFS_POINTER, FileType.GIT_LFS),
        (b"<!DOCTYPE html><html>", FileType.WEB_PAGE),
        (b"\xef\xbb\xbf \r\n<!DOCTYPE HTML>", FileType.WEB_PAGE),
        (b"<!-- log in --><HTML><body>", FileType.WEB_PAGE),
        (b"<head><title>Log in", FileType.WEB_PAGE),
        (S3_ERROR, FileType.WEB_PAGE),
        (b'{"error": "log in first"}', FileType.JSON),
        (b"\n[]", FileType.JSON),
        (b"404: Not Found", FileType.TEXT),
        ("\u00fc".encode() * START_BYTES, FileType.TEXT),
        ("BM, a text".encode("utf-16"), FileType.TEXT),
        (b"BM, a text, not a bitmap", FileType.TEXT),
        (b"", None),
        (bytes(512), None),
        (b"x\0", None),
        (b"\xff\xff\xff", None),
    ],
    # What a compressor writes contains the time, which is not the same in all workers.
    ids=lambda value: getattr(value, "name", "file"),
)
def test_a_file_of_each_type(data, expected):
    assert file_type(data[:START_BYTES]) is expected


@pytest.mark.parametrize("command", ["zstd", "lz4"])
def test_what_other_compressors_write(command):
    try:
        data = subprocess.run(
            [command, "-c"], input=b"x" * 99, stdout=subprocess.PIPE, check=True
        )
    except FileNotFoundError:
        pytest.skip(f"{command} is not installed")
    assert file_type(data.stdout) is FileType[command.upper()]


@pytest.mark.parametrize("start", "nIr.")
def test_a_tar_has_none_of_these_types(start):
    tar = archives.tar_bytes([(f"{start}1.JPEG", archives.jpeg(1))])
    assert file_type(tar[:START_BYTES]) is None


@given(st.binary(max_size=START_BYTES))
def test_any_bytes_have_a_type_or_none(start):
    assert file_type(start) in (*FileType, None)
