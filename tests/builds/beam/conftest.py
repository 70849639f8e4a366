"""What the builds on Apache Beam share: a builder that is watched."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.builds.conftest import ROOT
from tests.conftest import Build, SmallBuilder
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
    build: Build, small_builder: SmallBuilder, tmp_path: pathlib.Path
) -> Callable[..., watched_builder.Builder]:
    """Builds the small data in a folder."""

    def run(
        folder: str = "data",
        file_format: str | None = None,
        workers: int | None = None,
        **options: Any,
    ) -> watched_builder.Builder:
        builder = small_builder(
            watched_builder.Builder,
            data_dir=tmp_path / folder,
            file_format=file_format,
            workers=workers,
        )
        return build(builder, **options)

    return run
