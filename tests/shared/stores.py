"""Servers of object stores' protocols on the loopback address."""

from __future__ import annotations

import logging
import os
import pathlib
import uuid
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.shared.fault_proxy import FaultProxy

_S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "3",
}


@pytest.fixture(scope="session")
def s3() -> Iterator[FaultProxy]:
    """moto's S3 server behind a proxy, as the store that `s3://` opens."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (the extra s3)")
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    moto = server.ThreadedMotoServer("127.0.0.1", port=0)
    moto.start()
    proxy = FaultProxy(moto.get_host_and_port()[1])
    with mock.patch.dict(os.environ, _S3_ENVIRONMENT | {"AWS_ENDPOINT_URL": proxy.url}):
        yield proxy
    proxy.close()
    moto.stop()


_GOOGLE_ENVIRONMENT = {
    # Without it, TensorFlow's own client of Google's store goes to the real one.
    "EPATH_USE_TF": "false",
    # What it asks for, the server does not have.
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}


@pytest.fixture(scope="session")
def google() -> Iterator[FaultProxy]:
    """A server of Google's protocol behind a proxy, as the store that `gs://` opens."""
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed"
    )
    with mock.patch.dict(os.environ, _GOOGLE_ENVIRONMENT):
        pytest.importorskip("gcsfs", reason="gcsfs is not installed (the extra gcs)")
        import fsspec
        from etils.epath import gpath

        server = emulator.create_server("127.0.0.1", 0, in_memory=True)
        server.start()
        proxy = FaultProxy(server._api._httpd.server_port)
        gpath._is_tf_installed.cache_clear()
        with (
            mock.patch.dict(os.environ, {"STORAGE_EMULATOR_HOST": proxy.url}),
            mock.patch.dict(fsspec.config.conf, {"gs": {"token": "anon"}}),
        ):
            yield proxy
        proxy.close()
        server.stop()
    gpath._is_tf_installed.cache_clear()


@pytest.fixture
def google_bucket(google: FaultProxy) -> str:
    """A new bucket, such as `gs://abc`."""
    import fsspec

    google.requests.clear()
    name = f"bucket-{uuid.uuid4().hex}"
    fsspec.filesystem("gs").mkdir(name)
    return f"gs://{name}"


@pytest.fixture
def bucket(s3: FaultProxy) -> str:
    """A new bucket, such as `s3://abc`."""
    import s3fs

    s3.requests.clear()
    name = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def objects(url: str) -> dict[str, bytes]:
    """Returns the objects in a folder of a store, by name."""
    import fsspec

    store, folder = fsspec.core.url_to_fs(url)
    store.invalidate_cache()
    if not store.exists(folder):
        return {}
    return {path.rpartition("/")[2]: store.cat(path) for path in store.find(folder)}


def put_folder(folder: pathlib.Path, url: str) -> str:
    """Puts the files of a folder to a store; returns the URL."""
    import fsspec

    store, _ = fsspec.core.url_to_fs(url)
    for path in folder.iterdir():
        store.pipe_file(f"{url}/{path.name}", path.read_bytes())
    return url
