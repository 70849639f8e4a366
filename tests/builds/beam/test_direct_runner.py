"""Builds on Beam's runner for one machine."""

from __future__ import annotations

import os
import sys

import pytest

from imagenet2012_subset import ArchiveError, WriteError
from tests.builds.conftest import tfds_build
from tests.shared import watched_builder
from tests.shared.final_place import contents

pytest.importorskip("apache_beam", reason="apache-beam is not installed")

# `DirectRunner` by name first looks for a Prism server on the internet.
RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def _options(*flags: str):
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions(list(flags))


@pytest.mark.parametrize(
    "options",
    [
        {"num_shards": 3},
        {"num_shards": 2, "file_format": "array_record"},
        {"max_examples_per_split": 4, "max_shard_size": 2000},
    ],
)
def test_the_bytes_are_those_without_beam(build_watched, small_data, options):
    local = build_watched("local", **options)
    # Each worker opens the source again, for which the path becomes absolute.
    manual_dir = os.path.relpath(small_data.manual_dir)
    beam = build_watched("beam", manual_dir=manual_dir, beam_runner=RUNNER, **options)
    assert contents(beam.data_path) == contents(local.data_path)


def test_several_processes_write(build_watched, watched):
    local = build_watched("local", num_shards=5)
    for path in watched.iterdir():
        path.unlink()
    beam = build_watched(
        "beam",
        num_shards=5,
        beam_runner=RUNNER,
        beam_options=_options(
            "--direct_running_mode=multi_processing", "--direct_num_workers=2"
        ),
    )
    assert contents(beam.data_path) == contents(local.data_path)
    assert len(watched_builder.processes()) == 10
    assert len(set(watched_builder.processes())) == 2
    assert os.getpid() not in watched_builder.processes()


def test_the_runner_may_be_among_the_options(build_watched):
    local = build_watched("local")
    beam = build_watched("beam", beam_options=_options(f"--runner={RUNNER}"))
    assert contents(beam.data_path) == contents(local.data_path)


def test_the_runner_that_is_given_is_the_one_that_runs(build_watched):
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    ran = []

    class Noted(FnApiRunner):
        def run_pipeline(self, pipeline, options):
            ran.append(pipeline)
            return super().run_pipeline(pipeline, options)

    build_watched(beam_runner=Noted())
    assert len(ran) == 1


def test_shards_that_are_not_on_this_machines_disk_are_an_error(build_watched, final):
    from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState

    class Elsewhere(PipelineRunner):
        def run_pipeline(self, pipeline, options):
            result = PipelineResult(PipelineState.DONE)
            result.wait_until_finish = lambda duration=None: PipelineState.DONE
            return result

    with pytest.raises(WriteError, match="was not written, or is not visible"):
        build_watched(beam_runner=Elsewhere())
    assert not list(final.parent.iterdir())


def test_a_damaged_image_leaves_nothing(build_watched, small_data, final):
    name, _ = small_data.validation[0]
    small_data.validation[0] = (name, bytes(2000))
    small_data.write()
    with pytest.raises((ArchiveError, WriteError), match=name):
        build_watched(beam_runner=RUNNER)
    assert not list(final.parent.iterdir())


def test_a_number_of_workers_is_not_for_beam(build_watched):
    with pytest.raises(ValueError, match="direct_num_workers"):
        build_watched(beam_runner=RUNNER, workers=2)


def test_tfds_build_takes_beam_options(build, small_data, tmp_path):
    local = build(data_dir=tmp_path / "local")
    flag = f"--beam_pipeline_options=runner={RUNNER}"
    beam = tfds_build(small_data, tmp_path / "beam", flag)
    assert contents(beam) == contents(local.data_path)


def test_beam_is_not_installed(build_watched, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(WriteError, match="cannot be written by Beam") as caught:
        build_watched(beam_runner=RUNNER)
    assert "pip install apache-beam" in caught.value.remedy
