"""The rule for every fault: the right dataset, or a clear error and no leftovers."""

from __future__ import annotations

import io
import itertools
import os
import pathlib
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from etils import epath

import imagenet2012_subset
from imagenet2012_subset import DatasetError
from imagenet2012_subset.imagenet.names import TRAINING, Original
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.images import Image
from imagenet2012_subset.subset.select import select_training, select_validation
from tests.conftest import Build, SmallData

BLOCK = tarfile.BLOCKSIZE

Shards = dict[str, bytes]

# What a build of the same archives and list gives without a fault, for all tests.
_clean_shards: dict[tuple[bytes, ...], Shards] = {}


class Rule:
    """Builds small data in which a test has injected a fault, and checks the outcome.

    Create it before the fault, so that it knows the right dataset.
    """

    def __init__(self, build: Build, small_data: SmallData, folder: pathlib.Path):
        self._build = build
        self._data = small_data
        self._data_dirs = (folder / f"data_{number}" for number in itertools.count())
        inputs = (*sorted(small_data.manual_dir.iterdir()), small_data.subset_list)
        key = tuple(path.read_bytes() for path in inputs)
        if key not in _clean_shards:
            _clean_shards[key] = shards(build(data_dir=next(self._data_dirs)))
        self._right = _clean_shards[key]

    def outcome(self, **build_keywords: Any) -> DatasetError | None:
        """Returns the error of a build; None if it gave the right dataset.

        Fails if it gave another dataset, raised an error other than a `DatasetError`,
        left something behind, or changed the manual directory.
        """
        data_dir = next(self._data_dirs)
        manual_dir = build_keywords.get("manual_dir", self._data.manual_dir)
        before = contents(manual_dir)
        refusal = None
        try:
            builder = self._build(data_dir=data_dir, **build_keywords)
        except DatasetError as error:
            refusal = error
        if refusal is None:
            assert shards(builder) == self._right
        else:
            assert_clear(refusal)
            assert_nothing_built(data_dir)
        assert contents(manual_dir) == before
        return refusal

    def builds(self, **build_keywords: Any) -> None:
        """Builds, and fails unless the dataset is right."""
        refusal = self.outcome(**build_keywords)
        assert refusal is None

    def refuses(self, *parts: str, **build_keywords: Any) -> DatasetError:
        """Builds, and fails without an error that contains all of `parts`."""
        refusal = self.outcome(**build_keywords)
        assert refusal is not None
        assert not [part for part in parts if part not in str(refusal)], str(refusal)
        return refusal


class ReadRule:
    """The same rule for one archive, up to the images to write: many times faster."""

    def __init__(self, small_data: SmallData, original: Original):
        self._data = small_data
        self._original = original
        self.path = small_data.manual_dir / original.file_name
        self.content = self.path.read_bytes()
        self._right = self._read()

    def outcome(self, content: bytes) -> DatasetError | None:
        """Reads all wanted images of the archive when it contains `content`.

        Returns:
          The error; None if the images are right.
        """
        self.path.write_bytes(content)
        refusal = None
        try:
            images = self._read()
        except DatasetError as error:
            refusal = error
        if refusal is None:
            assert images == self._right
        else:
            assert_clear(refusal)
            assert refusal.path == os.fspath(self.path)
        return refusal

    def _read(self) -> list[Image]:
        source = find_source(epath.Path(self._data.manual_dir), self._original)
        if self._original is TRAINING:
            return list(select_training(source, self._data.listed))
        return list(select_validation(source, len(self._data.validation)))


def shards(builder: imagenet2012_subset.Builder) -> Shards:
    return {
        path.name: path.read_bytes()
        for path in pathlib.Path(builder.data_path).glob("imagenet2012_subset-*")
    }


def contents(folder: pathlib.Path) -> dict[str, bytes | str | None]:
    """Returns what is in a folder: files' bytes, links' targets, None for the rest."""
    found: dict[str, bytes | str | None] = {}
    for path in (folder, *folder.rglob("*")):
        name = os.fspath(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.exists():
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def assert_clear(error: DatasetError) -> None:
    """The message names the file, what is wrong with it, and what to do."""
    for part in (error.path, error.problem, error.remedy):
        assert part
        assert part in str(error)


def assert_nothing_built(data_dir: pathlib.Path, config: str = "small") -> None:
    dataset = data_dir / "imagenet2012_subset"
    assert not (dataset / config / "5.0.0").exists()
    assert not [path for path in dataset.rglob("*") if "incomplete" in path.name]


class Place(NamedTuple):
    """Where a member is: its header, its data, and where the next header starts."""

    name: str
    header: int
    data: int
    size: int

    @property
    def end(self) -> int:
        return self.data + -(-self.size // BLOCK) * BLOCK


def places(archive: bytes) -> list[Place]:
    """Returns where a tar's members are, and those of the tars in it."""
    return list(_places(archive, 0))


def _places(archive: bytes, start: int) -> Iterator[Place]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            data = member.offset_data
            yield Place(member.name, start + member.offset, start + data, member.size)
            if member.name.endswith(".tar"):
                yield from _places(archive[data : data + member.size], start + data)


def overwritten(content: bytes, offset: int, data: bytes) -> bytes:
    """Returns `content` with `data` in place of as many bytes at `offset`."""
    return content[:offset] + data + content[offset + len(data) :]
