"""Paths at the object stores that TensorFlow's file layer does not know."""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

from etils import epath
from etils.epath import backend, gpath

from imagenet2012_subset.storage.remote.store import as_os_errors


def register_store_paths() -> None:
    """Has `epath`, and so all of TFDS, open `s3://`, `az://` and `hf://` by fsspec.

    etils takes TensorFlow's file layer for every URL once TensorFlow is installed, and
    that says of these that they are not implemented. `gs://` it implements, and keeps;
    with the environment variable EPATH_USE_TF=false, gcsfs opens it.
    """
    epath.register_path_cls(("gs://", "s3://", "az://", "hf://"))(StorePath)


class StorePath(gpath.PosixGPath):
    """A path that is opened through fsspec, and of which nothing is remembered."""

    @property
    def _backend(self) -> Any:
        if self._uri_scheme in (None, "gs"):
            usual = super()._backend
            return _BACKEND if usual is backend.fsspec_backend else usual
        return _BACKEND

    @property
    def is_fsspecs(self) -> bool:
        """Whether fsspec opens it."""
        return self._backend is _BACKEND


class _FreshBackend:
    """fsspec's backend of `epath`, asked anew each time; its errors are OSErrors."""

    def rename(self, path: epath.PathLike, target: epath.PathLike) -> None:
        """Copies a folder's objects at the store, then removes them.

        A store has no other way; `dataset_info.json`, which makes a folder a dataset,
        comes last. What fails leaves nothing at the target.

        Raises:
          OSError: if something is at the target, or the store fails.
        """
        if self.exists(target):
            raise FileExistsError(errno.EEXIST, "exists", os.fspath(target))
        with as_os_errors(path):
            store = backend.fsspec_backend.fs(path)
            source = os.fspath(path).rstrip("/")
            objects = sorted(store.find(source), key=_comes_last)
            start = len(store._strip_protocol(source))
            try:
                for one in objects:
                    store.copy(one, os.fspath(target).rstrip("/") + one[start:])
            except BaseException:
                self.rmtree(target)
                raise
            store.rm(objects)

    def replace(self, path: epath.PathLike, target: epath.PathLike) -> None:
        """Copies an object at the store, then removes it.

        Raises:
          OSError: if the store fails.
        """
        with as_os_errors(path):
            store = backend.fsspec_backend.fs(path)
            store.copy(os.fspath(path), os.fspath(target))
            store.rm_file(os.fspath(path))

    def __getattr__(self, name: str) -> Any:
        method = getattr(backend.fsspec_backend, name)

        @functools.wraps(method)
        def call(path: epath.PathLike, *args: Any, **kwargs: Any) -> Any:
            with as_os_errors(path):
                # What a client remembers of a folder may have changed since.
                backend.fsspec_backend.fs(path).invalidate_cache()
                return method(path, *args, **kwargs)

        return call


def _comes_last(key: str) -> bool:
    return key.endswith("/dataset_info.json")


_BACKEND = _FreshBackend()
