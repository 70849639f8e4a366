"""Builds on Beam's runner for one machine."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from imagenet2012_subset import ArchiveError, WriteError
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.builds.beam.conftest import ROOT, files
from tests.shared import archives, watched_builder

pytest.importorskip("apache_beam", reason="apache-beam is not installed")

# `DirectRunner` by name first looks for a Prism server on the internet.
RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def _options(*flags: str):
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions(list(flags))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_shards": 3},
        {"num_shards": 2, "file_format": "array_record"},
        {"max_examples_per_split": 4, "max_shard_size": 2000},
    ],
)
def test_the_bytes_are_those_of_a_build_without_beam(build_watched, options):
    local = build_watched("local", **options)
    beam = build_watched("beam", **options, beam_runner=RUNNER)
    assert files(beam) == files(local)


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
    assert files(beam) == files(local)
    assert len(watched_builder.processes()) == 10
    assert len(set(watched_builder.processes())) == 2
    assert os.getpid() not in watched_builder.processes()


def test_the_runner_may_stand_in_the_options(build_watched):
    local = build_watched("local")
    beam = build_watched("beam", beam_options=_options(f"--runner={RUNNER}"))
    assert files(beam) == files(local)


def test_the_runner_that_is_given_is_the_one_that_runs(build_watched):
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    ran = []

    class Noted(FnApiRunner):
        def run_pipeline(self, pipeline, options):
            ran.append(pipeline)
            return super().run_pipeline(pipeline, options)

    build_watched(beam_runner=Noted())
    assert len(ran) == 1


def test_shards_that_no_worker_wrote_to_this_machines_disk_are_missed(
    build_watched, tmp_path
):
    from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState

    class Elsewhere(PipelineRunner):
        def run_pipeline(self, pipeline, options):
            result = PipelineResult(PipelineState.DONE)
            result.wait_until_finish = lambda duration=None: PipelineState.DONE
            return result

    with pytest.raises(WriteError, match="was not written, or is not visible"):
        build_watched(beam_runner=Elsewhere())
    assert not list((tmp_path / "data" / "imagenet2012_subset" / "small").iterdir())


def test_a_damaged_image_is_an_error_and_nothing_is_left(
    build_watched, small_data, tmp_path
):
    name, _ = small_data.validation[0]
    small_data.validation[0] = (name, bytes(2000))
    small_data.write()
    with pytest.raises((ArchiveError, WriteError), match=name):
        build_watched(beam_runner=RUNNER)
    assert not list((tmp_path / "data" / "imagenet2012_subset" / "small").iterdir())


def test_workers_that_do_not_find_the_archives_say_so(build_watched, monkeypatch):
    def other_machine(self, entries):
        raise ArchiveError(self.path, "cannot be opened", "Share it")

    monkeypatch.setattr(TarArchive, "read_images", other_machine)
    with pytest.raises((ArchiveError, WriteError), match="cannot be opened"):
        build_watched(beam_runner=RUNNER)


def test_a_number_of_workers_is_not_for_beam(build_watched):
    with pytest.raises(ValueError, match="direct_num_workers"):
        build_watched(beam_runner=RUNNER, workers=2)


def test_tfds_build_takes_beam_options(small_data, tmp_path):
    import json

    local, beam = (
        _tfds_build(small_data, tmp_path / folder, json.dumps, *flags)
        for folder, flags in (
            ("local", ()),
            ("beam", (f"--beam_pipeline_options=runner={RUNNER}",)),
        )
    )
    assert beam == local


def _tfds_build(small_data, data_dir, dumps, *flags: str) -> dict[str, bytes]:
    config = {
        "name": "small",
        "subset_list": str(small_data.subset_list),
        "validation_images": len(small_data.validation),
    }
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tensorflow_datasets.scripts.cli.main",
            "build",
            "imagenet2012_subset",
            "--imports=imagenet2012_subset",
            f"--manual_dir={small_data.manual_dir}",
            f"--data_dir={data_dir}",
            f"--config={dumps(config)}",
            *flags,
        ],
        check=True,
        cwd=ROOT,
    )
    folder = data_dir / "imagenet2012_subset" / "small" / "5.0.0"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_without_its_options_beam_is_not_imported(small_data, tmp_path):
    program = f"""
        import sys
        import tensorflow_datasets as tfds
        from imagenet2012_subset import Builder, SubsetConfig

        config = SubsetConfig(
            name="small", subset_list={str(small_data.subset_list)!r},
            validation_images={len(small_data.validation)},
        )
        builder = Builder(config=config, data_dir={str(tmp_path / "data")!r})
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir={str(small_data.manual_dir)!r}
            )
        )
        assert "apache_beam" not in sys.modules
        assert not {{"obstore", "boto3"}} & set(sys.modules)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, cwd=ROOT
    )


def test_a_relative_path_is_made_one_that_all_workers_know(
    build_watched, small_data, tmp_path
):
    """Each worker opens the source anew from what the plan says."""
    manual_dir = tmp_path / "relative"
    archives.write_manual_dir(
        manual_dir,
        archives.training_tar(small_data.training),
        archives.tar_bytes(small_data.validation),
    )
    local = build_watched("local", num_shards=2)
    beam = build_watched(
        "beam",
        num_shards=2,
        manual_dir=os.path.relpath(manual_dir),
        beam_runner=RUNNER,
    )
    assert files(beam) == files(local)
