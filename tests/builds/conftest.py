"""What several tests of whole builds share."""

from __future__ import annotations

import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import imagenet2012_subset
from imagenet2012_subset import (
    ArchiveError,
    DatasetError,
    imagenet2012_subset_dataset_builder as builder_module,
)
from tests.conftest import Build, SmallData
from tests.shared import faults, permissions

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def rule(build: Build, small_data: SmallData, tmp_path: pathlib.Path) -> faults.Rule:
    return faults.Rule(build, small_data, tmp_path)


@pytest.fixture
def final(tmp_path: pathlib.Path) -> pathlib.Path:
    """The directory that `build` writes the dataset to."""
    return tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"


@pytest.fixture
def error_of_change(
    build: Build, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], ArchiveError]:
    """Returns the error of a build whose archives change between plan and write."""

    def run(change: Callable[[], object]) -> ArchiveError:
        write_splits = builder_module.write_splits

        def change_and_write(*args: Any, **kwargs: Any) -> Any:
            change()
            return write_splits(*args, **kwargs)

        monkeypatch.setattr(builder_module, "write_splits", change_and_write)
        with pytest.raises(ArchiveError) as caught:
            build()
        faults.assert_clear(caught.value)
        faults.assert_nothing_built(tmp_path / "data")
        return caught.value

    return run


@pytest.fixture
def error_without_permission(
    build: Build, tmp_path: pathlib.Path
) -> Callable[..., DatasetError]:
    """Returns the error of a build that may not read a file or a folder."""

    def run(path: pathlib.Path, mode: int = 0) -> DatasetError:
        path.chmod(mode)
        try:
            with permissions.counted(), pytest.raises(DatasetError) as caught:
                build()
        finally:
            path.chmod(0o755)
        faults.assert_clear(caught.value)
        faults.assert_nothing_built(tmp_path / "data")
        assert str(path) in str(caught.value)
        assert "Permission denied" in caught.value.problem
        return caught.value

    return run


@pytest.fixture
def once_built(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[], object]], None]:
    """Runs a function once, when a build has written its shards.

    The dataset is not in its final place yet.
    """

    def run(act: Callable[[], object]) -> None:
        generate = imagenet2012_subset.Builder._generate_splits
        waiting = [act]

        def generate_and_act(self: Any, *args: Any) -> Any:
            splits = generate(self, *args)
            if waiting:
                waiting.pop()()
            return splits

        monkeypatch.setattr(
            imagenet2012_subset.Builder, "_generate_splits", generate_and_act
        )

    return run


@pytest.fixture
def leave_free(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Makes every disk report a number of free bytes."""
    usage = shutil.disk_usage(tmp_path)

    def leave(free: int) -> None:
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path: usage._replace(free=free)
        )

    return leave


_PROGRAM = """
import signal
import sys
import tensorflow_datasets as tfds
from imagenet2012_subset import Builder, SubsetConfig

# A background job of a shell ignores interrupts, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

manual_dir, subset_list, data_dir, *arguments = sys.argv[1:]

def build(
    name="small", builder_class=Builder, workers=None, file_format=None, **options
):
    builder = builder_class(
        config=SubsetConfig(name=name, subset_list=subset_list, validation_images=5),
        data_dir=data_dir,
        workers=workers,
        file_format=file_format,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, **options)
    )
    return builder
"""


def start_program(
    code: str, small_data: SmallData, data_dir: pathlib.Path, *arguments: object
) -> subprocess.Popen[str]:
    """Starts Python code that can call `build`, which builds the small data."""
    paths = [small_data.manual_dir, small_data.subset_list, data_dir, *arguments]
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM + code, *map(str, paths)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run_program(
    code: str, small_data: SmallData, data_dir: pathlib.Path
) -> tuple[str, str]:
    """Runs code as `start_program`; returns what it printed to stdout and stderr."""
    process = start_program(code, small_data, data_dir)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    return stdout, stderr


def tfds_build(
    small_data: SmallData,
    data_dir: pathlib.Path,
    *flags: str,
    manual_dir: str | None = None,
) -> pathlib.Path:
    """Does what `tfds build` does with the small data; returns the dataset's directory.

    In this process, as the command takes half a minute to start.
    """
    from tensorflow_datasets.scripts.cli import main as cli

    config = {
        "name": "small",
        "subset_list": str(small_data.subset_list),
        "validation_images": len(small_data.validation),
    }
    command = ["tfds", "build", "imagenet2012_subset", "--imports=imagenet2012_subset"]
    command += [f"--manual_dir={manual_dir or small_data.manual_dir}"]
    command += [f"--data_dir={data_dir}", f"--config={json.dumps(config)}", *flags]
    cli._parse_flags(command).execute()
    return data_dir / "imagenet2012_subset" / "small" / "5.0.0"


class Web:
    """A server on the loopback address.

    Attributes:
      texts: what it serves, by name; other names are answered with 404.
      length: the Content-Length of its answers, if it is not that of the text.
      requested: the names of all requests.
    """

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.length: int | None = None
        self.requested: list[str] = []
        self.port = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            web.requested.append(name)
            text = web.texts.get(name, b"")
            self.send_response(200 if name in web.texts else 404)
            self.send_header("Content-Length", str(web.length or len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield web
        server.shutdown()
