"""What the builds on Apache Beam share: a builder that is watched."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow_datasets as tfds

from tests.builds.conftest import ROOT, SmallBuilder
from tests.conftest import SmallData
from tests.shared import watched_builder


@pytest.fixture(autouse=True)
def watched(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder where workers note the shards that they begin."""
    folder = tmp_path / "watched"
    folder.mkdir()
    monkeypatch.setenv(watched_builder.FOLDER, str(folder))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return folder


@pytest.fixture
def build_watched(
    small_builder: SmallBuilder, small_data: SmallData, tmp_path: pathlib.Path
) -> Callable[..., watched_builder.Builder]:
    """Builds the small data; keywords go to the DownloadConfig."""

    def build(
        folder: str = "data",
        file_format: str | None = None,
        workers: int | None = None,
        manual_dir: str | None = None,
        **download_config: Any,
    ) -> watched_builder.Builder:
        builder = small_builder(
            watched_builder.Builder,
            data_dir=tmp_path / folder,
            file_format=file_format,
            workers=workers,
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir or small_data.manual_dir, **download_config
            )
        )
        return builder

    return build
