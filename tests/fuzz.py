"""Fuzzes what reads files that others made; run by hand, not by pytest.

    pip install atheris
    python tests/fuzz.py tar --seconds 240

Targets:
  tar: an archive, through the walk of its members.
  list: a subset list.
  index: a saved index.
  tree: directories of extracted images, by the names of what is in them.
  dataset: the JSON and text files of a prepared dataset, through `check` and through a
    builder that finds it.

Anything but a right result or a `DatasetError` (of an index: None) ends the run with
the input that caused it. Inputs and findings are saved below the system's temporary
directory, and the next run continues from them. Each run ends with libFuzzer's count of
executions, `stat::number_of_executed_units`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import TypeVar

import atheris

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

# Modules must be imported again to have their branches watched.
_WATCHED = ["imagenet2012_subset", "tarfile", "zipfile", "numpy.lib"]
for _name in ("tarfile", "zipfile"):
    sys.modules.pop(_name, None)
with atheris.instrument_imports(include=_WATCHED):
    import tarfile
    import zipfile

    import numpy as np
    from absl import logging
    from etils import epath

    from imagenet2012_subset.errors import DatasetError
    from imagenet2012_subset.imagenet.names import TRAINING, training_wnid, wnids
    from imagenet2012_subset.sources import index_cache
    from imagenet2012_subset.sources.source import Entries, Index
    from imagenet2012_subset.sources.tar_archive import TarArchive
    from imagenet2012_subset.storage.files import Files, FileTable
    from imagenet2012_subset.storage.open import find_files
    from imagenet2012_subset.subset.subset_list import read_subset_list
    from imagenet2012_subset.tar.headers import BLOCK
    from tests.shared import archives, fuzz_folders, tars

_FOLDER = epath.Path(tempfile.gettempdir()) / "imagenet2012_subset_fuzz"
_RESEAL = 0x01
_INDEX_SIZE = 1 << 30
_ARCHIVE = _FOLDER / "archive.tar"

T = TypeVar("T")
Target = Callable[[bytes], None]


def _written(data: bytes) -> epath.Path:
    path = _FOLDER / f"input-{os.getpid()}"  # Several targets may run at a time.
    path.write_bytes(data)
    return path


def _check_inside(entries: Entries, size: int) -> None:
    assert len(entries.names) == len(entries.offsets) == len(entries.sizes)
    assert (entries.sizes >= 0).all()
    assert (entries.offsets >= 0).all()
    assert (entries.offsets <= size - entries.sizes).all()


# The first byte says whether headers get a valid checksum: no fuzzer would find it by
# trying.


def fuzz_tar(data: bytes) -> None:
    flags, archive = data[:1], bytearray(data[1:])
    if flags and flags[0] & _RESEAL:
        for start in range(0, len(archive) - BLOCK + 1, BLOCK):
            block = archive[start : start + BLOCK]
            if block[257:262] == b"ustar":
                archive[start : start + BLOCK] = tars.sealed(block)
    path = _written(archive)
    with contextlib.suppress(DatasetError):
        _check_inside(TarArchive(path, TRAINING).index.entries, len(archive))
    with Files(find_files([str(path)])) as files:
        one_by_one = _outcome(lambda: tars.walk_one_by_one(files))
        assert _outcome(lambda: _rows(files, tars.no_tar)) == one_by_one
        in_step = _outcome(lambda: _rows(files, tars.is_tar))
        files.in_step = 1
        in_turn = _outcome(lambda: _rows(files, tars.is_tar))
    # Of several tars with an error, the first one to be reached is reported.
    assert in_step == in_turn or {type(in_step), type(in_turn)} == {str}
    if isinstance(one_by_one, list):
        # Where a header is invalid `tarfile` stops, without an error.
        theirs = _by_tarfile(archive)
        assert [row[:3] for row in one_by_one[: len(theirs)]] == theirs


def _rows(files: Files, is_tar: Callable[[bytes], bool]) -> list[tars.TarMember]:
    return tars.as_rows(*tars.walk_in_pieces(files, 1, 1, is_tar))


def _outcome(act: Callable[[], T]) -> T | str:
    try:
        return act()
    except DatasetError as error:
        return error.problem


def _by_tarfile(data: bytes) -> list[tuple[bytes, int, int]]:
    """Returns what `tarfile` finds before its first error."""
    found: list[tuple[bytes, int, int]] = []
    errors = (tarfile.TarError, ValueError, LookupError, ArithmeticError)
    with contextlib.suppress(*errors, RecursionError):
        for row in tars.each_by_tarfile(data):
            found.append(row)
    return found


def fuzz_list(data: bytes) -> None:
    with contextlib.suppress(DatasetError):
        names = read_subset_list(_written(data))
        assert names
        assert len(set(names)) == len(names)
        for name in names:
            assert name.encode("ascii")
            assert training_wnid(name)


# The first byte says whether the rest is the index itself, or the `.npy` of the array
# with that number in an otherwise valid index, checksums included.


def fuzz_index(data: bytes) -> None:
    path = index_cache.index_path(_FOLDER, _ARCHIVE)
    number, rest = data[:1], data[1:]
    if number and number[0] < len(_ARRAYS):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for i, (name, array) in enumerate(_ARRAYS.items()):
                archive.writestr(name, rest if i == number[0] else array)
        rest = stream.getvalue()
    path.write_bytes(rest)
    index = index_cache.load(_FOLDER, _ARCHIVE, _TABLE)
    if index is not None:
        _check_inside(index.entries, _INDEX_SIZE)


def _make_index() -> bytes:
    rows = [(b"n01440764_%d.JPEG" % i, 0, 512 + i, i, i) for i in (3, 1, 2)]
    entries = Entries.from_columns(_TABLE, *zip(*rows, strict=True))
    index = Index(entries, 1, ("README",), ("a remark",))
    index_cache.save(_FOLDER, _ARCHIVE, _TABLE, index)
    return index_cache.index_path(_FOLDER, _ARCHIVE).read_bytes()


def _arrays(saved: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _tar_seeds() -> list[bytes]:
    image = ("n01440764_1.JPEG", b"\xff\xd8" + bytes(600))
    long_name = ("folder/" * 40 + "n01440764_2.JPEG", b"data")
    seeds = []
    for tar_format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        files = [image] if tar_format == tarfile.USTAR_FORMAT else [image, long_name]
        flat = archives.tar_bytes(files, tar_format).rstrip(b"\0")
        nested = archives.training_tar({"n01440764": [image]}, tar_format).rstrip(b"\0")
        seeds += [flags + one for flags in (b"\0", b"\1") for one in (flat, nested)]
    sparse = {"GNU.sparse.map": "0,512", "GNU.sparse.size": "1024"}
    members = [
        tars.Entry("n01440764_4.JPEG", type=kind, uid=8**8)
        for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, b"Z")
    ]
    members.append(tars.Entry("n01440764_3.JPEG", bytes(BLOCK), pax_headers=sparse))
    headers = {"comment": "x", "path": "y"}
    unusual = tars.make_tar(members, tarfile.PAX_FORMAT, pax_headers=headers)
    return [*seeds, b"\1" + unusual.rstrip(b"\0")]


def _list_seeds() -> list[bytes]:
    plain = "\n".join(f"{wnid}_1.JPEG" for wnid in wnids()[:3])
    other = "\ufeff" + "\r\n".join(f"{wnid}/{wnid}_2" for wnid in wnids()[:3])
    return [plain.encode(), other.encode(), b"ILSVRC2012_val_00000001.JPEG\n"]


def _index_seeds() -> list[bytes]:
    arrays = [bytes([i]) + array for i, array in enumerate(_ARRAYS.values())]
    return [b"\xff" + _make_index(), *arrays]


_TARGETS: dict[str, tuple[Target, Callable[[], list[bytes]]]] = {
    "tar": (fuzz_tar, _tar_seeds),
    "list": (fuzz_list, _list_seeds),
    "index": (fuzz_index, _index_seeds),
    "tree": (fuzz_folders.fuzz_tree, fuzz_folders.tree_seeds),
    "dataset": (fuzz_folders.fuzz_dataset, fuzz_folders.dataset_seeds),
}


def main() -> None:
    """Runs one target for some time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=_TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    target, make_seeds = _TARGETS[arguments.target]
    corpus = _FOLDER / "corpus" / arguments.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(make_seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    logging.set_verbosity(logging.ERROR)
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-artifact_prefix={_FOLDER}/{arguments.target}-",
        "-max_len=30000",
        "-len_control=0",
        "-keep_seed=1",
        "-use_value_profile=1",
        "-timeout=10",
        "-rss_limit_mb=6000",  # The counters of branches grow with the corpus.
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


_FOLDER.mkdir(parents=True, exist_ok=True)
_TABLE = FileTable(("archive.tar",), np.array([_INDEX_SIZE]), np.array([1]))
_ARRAYS = _arrays(_make_index())

if __name__ == "__main__":
    main()
