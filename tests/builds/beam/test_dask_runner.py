"""Builds on Dask: a scheduler, and workers that are processes of their own."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builds.beam.conftest import ROOT, files
from tests.shared import watched_builder

pytest.importorskip("apache_beam", reason="apache-beam is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"


@pytest.fixture
def cluster(watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two workers, each of which takes half a second for a shard."""
    del watched
    monkeypatch.setenv(watched_builder.SECONDS_A_SHARD, "0.5")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as local:
        yield local
        # Beam's runner leaves its client open.
        for client in list(distributed.client._global_clients.values()):
            client.close(timeout=1)


def _options(cluster: Any) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    # By default all shards of a small dataset are one worker's.
    return PipelineOptions(
        [f"--dask_client_address={cluster.scheduler_address}", "--dask_npartitions=10"]
    )


def _wait_for_a_shard() -> int:
    """Returns the process that began the first."""
    deadline = time.monotonic() + 300
    while not (begun := watched_builder.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return begun[0]


def test_workers_share_the_shards_and_one_may_be_killed(
    build_watched, cluster, watched
):
    local = build_watched("local", num_shards=5)
    for path in watched.iterdir():
        path.unlink()
    killed = []

    def kill() -> None:
        killed.append(_wait_for_a_shard())
        time.sleep(0.2)  # In the midst of a shard.
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    beam = build_watched(
        "beam", num_shards=5, beam_runner=RUNNER, beam_options=_options(cluster)
    )
    killer.join()
    assert files(beam) == files(local)
    begun = watched_builder.processes()
    assert len(begun) > 10  # What the killed one had begun was begun again.
    assert len(set(begun) - set(killed)) >= 1
    assert len(set(begun)) >= 2
    assert os.getpid() not in begun


def test_an_interrupted_driver_leaves_nothing_at_the_final_path(
    cluster, small_data, tmp_path
):
    program = f"""
        import tensorflow_datasets as tfds
        from apache_beam.options.pipeline_options import PipelineOptions
        from imagenet2012_subset import SubsetConfig
        from tests.shared import watched_builder

        watched_builder.Builder(
            config=SubsetConfig(
                name="small",
                subset_list={str(small_data.subset_list)!r},
                validation_images={len(small_data.validation)},
            ),
            data_dir={str(tmp_path / "data")!r},
        ).download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir={str(small_data.manual_dir)!r},
                num_shards=5,
                beam_runner={RUNNER!r},
                beam_options=PipelineOptions(
                    ["--dask_client_address={cluster.scheduler_address}",
                     "--dask_npartitions=10"]
                ),
            )
        )
    """
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT
    )
    _wait_for_a_shard()
    driver.send_signal(signal.SIGINT)
    assert driver.wait(120) != 0
    time.sleep(1)  # What workers still do is over by then.
    config = pathlib.Path(tmp_path / "data" / "imagenet2012_subset" / "small")
    assert not list(config.iterdir())
