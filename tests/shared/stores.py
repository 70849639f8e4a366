"""Servers of object stores' protocols on the loopback address."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from tests.shared.fault_proxy import FaultProxy

_SECONDS_TO_START = 300


@pytest.fixture(scope="session", params=["moto", "s3rver"])
def s3(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultProxy]:
    """An S3 server behind a proxy, as the store that `s3://` opens."""
    pytest.importorskip("obstore", reason="obstore is not installed (extra buckets)")
    pytest.importorskip("boto3", reason="boto3 is not installed (extra stores)")
    if request.param == "moto":
        server = _moto()
    else:
        server = _s3rver(tmp_path_factory.mktemp("s3rver"))
    port = next(server)
    proxy = FaultProxy(port)
    variables = {
        # The only key that s3rver knows; moto takes any.
        "AWS_ACCESS_KEY_ID": "S3RVER",
        "AWS_SECRET_ACCESS_KEY": "S3RVER",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
    }
    with mock.patch.dict(os.environ, variables):
        yield proxy
    proxy.close()
    next(server, None)


def _moto() -> Iterator[int]:
    module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


def _s3rver(folder: pathlib.Path) -> Iterator[int]:
    command = shutil.which("s3rver")
    if not command:
        pytest.skip("s3rver is not installed (npm install -g s3rver)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--directory", str(folder), "--port", str(port), "--silent"]
    server = subprocess.Popen([command, "--address", "127.0.0.1", *arguments])
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    yield port
    server.kill()
    server.wait()


_GCSFS_ENVIRONMENT = {
    # Without it, `epath` uses TensorFlow's client, which goes to the real store.
    "EPATH_USE_TF": "false",
    # The server does not have what this asks for.
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}


@pytest.fixture(scope="session")
def google() -> Iterator[FaultProxy]:
    """A server of Google's protocol behind a proxy, as the store that `gs://` opens."""
    pytest.importorskip("obstore", reason="obstore is not installed (extra buckets)")
    module = pytest.importorskip(
        "gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed"
    )
    server = module.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    proxy = FaultProxy(server._api._httpd.server_port, is_google=True)
    variables = {"STORAGE_EMULATOR_HOST": proxy.url, **_GCSFS_ENVIRONMENT}
    with mock.patch.dict(os.environ, variables), _anonymous_gcsfs():
        yield proxy
    proxy.close()
    server.stop()


@contextlib.contextmanager
def _anonymous_gcsfs() -> Iterator[None]:
    """Lets `epath` use gcsfs, where it is installed, without credentials."""
    if importlib.util.find_spec("gcsfs") is None:
        yield
        return
    import fsspec
    from etils.epath import gpath

    gpath._is_tf_installed.cache_clear()
    with mock.patch.dict(fsspec.config.conf, {"gs": {"token": "anon"}}):
        yield
    gpath._is_tf_installed.cache_clear()


@pytest.fixture
def bucket(s3: FaultProxy) -> str:
    """A new bucket, such as `s3://abc`."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3_client().create_bucket(Bucket=name)
    s3.requests.clear()
    return f"s3://{name}"


@pytest.fixture
def google_bucket(google: FaultProxy) -> str:
    """A new bucket, such as `gs://abc`."""
    name = f"bucket-{uuid.uuid4().hex}"
    data = json.dumps({"name": name}).encode()
    _post(f"{google.url}/storage/v1/b?project=test", data)
    google.requests.clear()
    return f"gs://{name}"


def s3_client() -> Any:
    """Returns boto3's client of the server."""
    import boto3

    return boto3.client("s3")


def put(url: str, data: bytes) -> None:
    """Writes an object."""
    scheme, _, path = url.partition("://")
    bucket, _, key = path.partition("/")
    if scheme == "s3":
        s3_client().put_object(Bucket=bucket, Key=key, Body=data)
        return
    query = urllib.parse.urlencode({"uploadType": "media", "name": key})
    server = os.environ["STORAGE_EMULATOR_HOST"]
    _post(f"{server}/upload/storage/v1/b/{bucket}/o?{query}", data)


def delete(url: str) -> None:
    """Deletes an object at `s3://`."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    s3_client().delete_object(Bucket=bucket, Key=key)


def put_folder(folder: pathlib.Path, url: str) -> str:
    """Writes the files of a folder to a store; returns the URL."""
    for path in folder.iterdir():
        put(f"{url}/{path.name}", path.read_bytes())
    return url


def _post(url: str, data: bytes) -> None:
    kind = "application/octet-stream" if "/upload/" in url else "application/json"
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    urllib.request.urlopen(request).close()
