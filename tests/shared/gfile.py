"""A bucket for TensorFlow's file layer, which `epath` and so TFDS use for `gs://`.

TensorFlow's own client of Google's store cannot be pointed at a server on this machine.
Here its Python functions open files of a local directory instead.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any


class Bucket:
    """Files of a local directory, under names that begin with `gs://`.

    Attributes:
      written: the name of each object in the order in which it was complete.
      refuse: returns whether writing an object of this name is refused.
      removed: the names that were removed or renamed.
    """

    def __init__(self, folder: pathlib.Path):
        import tensorflow as tf

        self.written: list[str] = []
        self.removed: list[str] = []
        self.refuse: Callable[[str], bool] = lambda name: False
        self._folder = folder
        self._tf = tf

    def objects(self, url: str) -> dict[str, bytes]:
        """Returns the objects below a URL, by name."""
        folder = pathlib.Path(self._local(url))
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {
            os.fspath(path.relative_to(folder)): path.read_bytes() for path in paths
        }

    def _local(self, path: Any) -> str:
        return os.fspath(path).replace("gs://", f"{self._folder}/")

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._tf.io.gfile, name)

        def call(*paths: Any, **keywords: Any) -> Any:
            if name in ("remove", "rename", "rmtree"):
                self.removed.append(os.fspath(paths[0]))
            return function(*map(self._local, paths), **keywords)

        return call

    def GFile(self, path: Any, mode: str) -> Any:  # noqa: N802 - TensorFlow's name.
        return _File(self, os.fspath(path), self._local(path), mode)


class _File:
    """A file that exists once it is closed; a bucket needs no directories."""

    def __init__(self, bucket: Bucket, name: str, local: str, mode: str):
        self._bucket, self._name, self._mode = bucket, name, mode
        if "w" in mode:
            if bucket.refuse(name):
                errors = bucket._tf.errors
                raise errors.PermissionDeniedError(None, None, "403: no permission")
            os.makedirs(os.path.dirname(local), exist_ok=True)
        self._file = bucket._tf.io.gfile.GFile(local, mode)

    def __enter__(self) -> Any:
        return self._file.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)
        if "w" in self._mode:
            self._bucket.written.append(os.path.basename(self._name))
