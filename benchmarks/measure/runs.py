"""The runs that a comparison is made of, each in a fresh process on cold caches."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.make.archives import (
    LIST_NAMES,
    TRAINING_NAME,
    VALIDATION_NAME,
    ArchiveFacts,
)
from benchmarks.measure.caches import go_cold
from benchmarks.measure.floor import copy_seconds
from benchmarks.measure.process import Measurement, run

_FULL_SYNSETS = 1000


@dataclasses.dataclass(frozen=True)
class Runs:
    """Starts runs on one set of archives.

    Attributes:
      archives: Folder of the archives.
      facts: What they hold.
      tfds_dir: Where TFDS's datasets and their figures are kept.
      scratch: Folder for our datasets, on the same disk; each run needs it empty.
    """

    archives: pathlib.Path
    facts: ArchiveFacts
    tfds_dir: pathlib.Path
    scratch: pathlib.Path

    def go_cold(self) -> str:
        """Makes caches cold and says how."""
        names = (TRAINING_NAME, VALIDATION_NAME)
        return go_cold(self.archives / name for name in names)

    def tfds(self, config: str) -> tuple[Measurement, bool]:
        """Builds with TFDS's own builder, unless that was kept from an earlier run.

        Returns:
          The figures, and whether they are an earlier run's.
        """
        kept = self.tfds_dir / f"measured-{config}.json"
        if kept.exists():
            return Measurement(**json.loads(kept.read_text())), True
        self.forget_tfds(config)
        figures = self._build("tfds", config, self.tfds_dir)
        kept.write_text(json.dumps(dataclasses.asdict(figures), indent=2) + "\n")
        return figures, False

    def forget_tfds(self, config: str) -> None:
        """Removes TFDS's dataset of this config, and its figures."""
        (self.tfds_dir / f"measured-{config}.json").unlink(missing_ok=True)
        shutil.rmtree(self.tfds_dir / "imagenet2012_subset" / config, True)

    def ours(self, config: str, options: Sequence[str] = ()) -> Measurement:
        """Builds with our builder into the empty scratch folder.

        Args:
          config: What to build.
          options: Further ones of `build_once`.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        return self._build("ours", config, self.scratch, options)

    def ours_again(self, config: str) -> Measurement:
        """Builds once more after `ours`, with only its index of headers left."""
        shutil.rmtree(self.scratch / "imagenet2012_subset")
        return self._build("ours", config, self.scratch)

    def equality(self, a: Measurement, b: Measurement) -> str:
        """Compares two builds' datasets and says that they are equal.

        Raises:
          RuntimeError: If they are not.
        """
        dirs = a.printed["data_path"], b.printed["data_path"]
        command = [sys.executable, "-m", "benchmarks.measure.equality", *dirs]
        if self.facts.synsets != _FULL_SYNSETS:
            # Our builder notes the fingerprint of a list that is not a published one.
            command.append("--ignore=metadata.json")
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(result.stdout + result.stderr[-2000:])
        return result.stdout.strip()

    def walk(self, which: str, in_flight: int | None = None) -> Measurement:
        """Walks the headers of `which`: both archives, training or validation."""
        options = [] if in_flight is None else [f"--in_flight={in_flight}"]
        return self._run("walk_once", [which, *options], self.scratch)

    def copy(self, config: str) -> float:
        """Returns the seconds of copying as many bytes as a config's images have."""
        size = self.facts.listed_bytes[config] + self.facts.validation_bytes
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.go_cold()
        source = self.archives / VALIDATION_NAME
        return copy_seconds(source, self.scratch / "copy", size)

    def _build(
        self,
        builder: str,
        config: str,
        data_dir: pathlib.Path,
        options: Sequence[str] = (),
    ) -> Measurement:
        data_dir.mkdir(parents=True, exist_ok=True)
        arguments = [builder, config, f"--data_dir={data_dir}", *options]
        arguments += cut_options(self.archives, self.facts, config)
        return self._run("build_once", arguments, data_dir)

    def _run(
        self, module: str, arguments: Iterable[str], folder: pathlib.Path
    ) -> Measurement:
        self.go_cold()
        return run_module(module, [*arguments, f"--archives={self.archives}"], folder)


def run_module(
    name: str,
    arguments: Iterable[str],
    folder: pathlib.Path,
    environment: Mapping[str, str] | None = None,
) -> Measurement:
    """Runs a module beside this one as a command; the rest is as for `process.run`."""
    command = [sys.executable, "-m", f"benchmarks.measure.{name}", *arguments]
    return run(command, folder, environment)


def cut_options(
    archives: pathlib.Path, facts: ArchiveFacts, config: str
) -> Sequence[str]:
    """Returns the options of `build_once` for archives that lack synsets."""
    if facts.synsets == _FULL_SYNSETS:
        return []
    cut_list = archives / LIST_NAMES[config]
    return [f"--cut_list={cut_list}", f"--cut_to={facts.validation_images}"]
