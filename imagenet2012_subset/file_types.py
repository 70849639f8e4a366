"""Identifies file types by their first bytes."""

from __future__ import annotations

import codecs
import enum

START_BYTES = 512  # This many of the first bytes are enough to identify a file.


class FileType(enum.Enum):
    """A type of file; its value completes the sentence "it is ...".

    Tars are not included because they do not start with a magic number.
    """

    JPEG = "a JPEG image"
    PNG = "a PNG image"
    GIF = "a GIF image"
    WEBP = "a WebP image"
    BMP = "a BMP image"
    TIFF = "a TIFF image"
    GZIP = "a gzip-compressed file"
    BZIP2 = "a bzip2-compressed file"
    XZ = "an xz-compressed file"
    ZSTD = "a zstd-compressed file"
    LZ4 = "an lz4-compressed file"
    ZIP = "a zip archive"
    NPZ = "an npz file of NumPy arrays"
    NPY = "an npy file of a NumPy array"
    SEVEN_ZIP = "a 7z archive"
    RAR = "a RAR archive"
    PARQUET = "a Parquet file"
    HDF5 = "an HDF5 file"
    LMDB = "an LMDB database"
    APPLE_DOUBLE = "an AppleDouble file, which macOS writes beside the actual file"
    GIT_LFS = "a Git LFS pointer"
    TORRENT = "a torrent file"
    WEB_PAGE = "a web page"
    JSON = "a JSON text"
    TEXT = "a text file"


_MAGIC = (
    (b"\xff\xd8\xff", FileType.JPEG),
    (b"\x89PNG\r\n\x1a\n", FileType.PNG),
    (b"GIF87a", FileType.GIF),
    (b"GIF89a", FileType.GIF),
    (b"II*\0", FileType.TIFF),
    (b"MM\0*", FileType.TIFF),
    (b"\x1f\x8b", FileType.GZIP),
    (b"BZh", FileType.BZIP2),
    (b"\xfd7zXZ\0", FileType.XZ),
    (b"(\xb5/\xfd", FileType.ZSTD),
    (b"\x04\x22\x4d\x18", FileType.LZ4),
    (b"PK\x05\x06", FileType.ZIP),  # An empty one.
    (b"\x93NUMPY", FileType.NPY),
    (b"7z\xbc\xaf\x27\x1c", FileType.SEVEN_ZIP),
    (b"Rar!\x1a\x07", FileType.RAR),
    (b"PAR1", FileType.PARQUET),
    (b"PARE", FileType.PARQUET),  # An encrypted one.
    (b"\x89HDF\r\n\x1a\n", FileType.HDF5),
    (b"\0\x05\x16\x07", FileType.APPLE_DOUBLE),
    (b"\0\x05\x16\0", FileType.APPLE_DOUBLE),  # AppleSingle.
    (b"version https://git-lfs.github.com/", FileType.GIT_LFS),
    (b"d8:announce", FileType.TORRENT),
)
_WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<title")
_CONTROL = frozenset(range(32)).difference(b"\t\n\r\f\x1b")


def file_type(start: bytes) -> FileType | None:
    """Returns a file's type; None if its first bytes do not identify it.

    Args:
      start: its first `START_BYTES`, or all if there are fewer.
    """
    for magic, found in _MAGIC:
        if start.startswith(magic):
            return found
    if start.startswith(b"PK\x03\x04"):
        # The name of the first member follows a header of 30 bytes.
        name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
        return FileType.NPZ if name.endswith(b".npy") else FileType.ZIP
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return FileType.WEBP
    # Text may start with BM too; the reserved fields of a bitmap are zeros.
    if start.startswith(b"BM") and start[6:10] == bytes(4):
        return FileType.BMP
    if start[16:20] == b"\xde\xc0\xef\xbe":
        return FileType.LMDB
    return _text_type(start)


def _text_type(start: bytes) -> FileType | None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return FileType.TEXT
    text = start.removeprefix(codecs.BOM_UTF8).strip()
    if not text or not _CONTROL.isdisjoint(text):
        return None
    lower = text.lower()
    if lower.startswith(b"<?xml") or any(tag in lower for tag in _WEB_PAGE):
        return FileType.WEB_PAGE
    if text.startswith((b"{", b"[")):
        return FileType.JSON
    try:
        # The last character may be truncated.
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return None
    return FileType.TEXT
