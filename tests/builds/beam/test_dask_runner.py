"""Builds on Dask: a scheduler, and workers that are separate processes."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.builds.conftest import ROOT, start_program
from tests.shared import watched_builder
from tests.shared.final_place import contents

pytest.importorskip("apache_beam", reason="apache-beam is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[pathlib.Path]:
    """A folder for `watched_builder`, which the workers of all tests know."""
    folder = tmp_path_factory.mktemp("dask")
    (folder / "watched").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(watched_builder.FOLDER, str(folder / "watched"))
        patch.setenv(watched_builder.GO_ON, str(folder / "go_on"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        yield folder


@pytest.fixture(scope="module")
def cluster(folder) -> Iterator[distributed.LocalCluster]:
    """Two workers, which take long to start."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def go_on(folder, monkeypatch) -> Iterator[pathlib.Path]:
    """The file for which each worker waits when it has begun a shard."""
    monkeypatch.setenv(watched_builder.FOLDER, str(folder / "watched"))
    for path in (folder / "watched").iterdir():
        path.unlink()
    path = folder / "go_on"
    path.unlink(missing_ok=True)
    yield path
    path.touch()


@pytest.fixture
def flags(cluster, go_on) -> Iterator[list[str]]:
    """The options of a pipeline on the cluster."""
    # By default one worker gets all shards of a small dataset.
    yield [
        f"--dask_client_address={cluster.scheduler_address}",
        "--dask_npartitions=10",
    ]
    go_on.touch()
    # Beam's runner leaves its client open.
    for client in list(distributed.client._global_clients.values()):
        client.close(timeout=1)


def _begun_by(num_processes: int) -> list[int]:
    """Waits until this many processes have begun a shard; returns their ids."""
    deadline = time.monotonic() + 300
    while len(begun := sorted({*watched_builder.processes()})) < num_processes:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return begun


def test_workers_share_the_shards_and_one_may_be_killed(build_watched, flags, go_on):
    from apache_beam.options.pipeline_options import PipelineOptions

    killed = []

    def kill() -> None:
        try:
            killed.append(_begun_by(2)[0])
            os.kill(killed[0], signal.SIGKILL)
        finally:
            go_on.touch()

    killer = threading.Thread(target=kill)
    killer.start()
    beam = build_watched(
        "beam", num_shards=5, beam_runner=RUNNER, beam_options=PipelineOptions(flags)
    )
    killer.join()
    assert killed
    begun = watched_builder.processes()
    assert len(begun) > 10  # The shard of the killed process was begun again.
    assert os.getpid() not in begun
    local = build_watched("local", num_shards=5)
    assert contents(beam.data_path) == contents(local.data_path)


def test_an_interrupted_driver_leaves_nothing(flags, small_data, final):
    code = f"""
from apache_beam.options.pipeline_options import PipelineOptions
from tests.shared import watched_builder
build(
    builder_class=watched_builder.Builder,
    num_shards=5,
    beam_runner={RUNNER!r},
    beam_options=PipelineOptions({flags!r}),
)
"""
    driver = start_program(code, small_data, final.parents[2])
    _begun_by(2)  # Both workers wait, so nothing else is written.
    driver.send_signal(signal.SIGINT)
    driver.communicate(timeout=300)
    assert driver.returncode
    assert not list(final.parent.iterdir())
