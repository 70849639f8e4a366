"""Computes what a paper's whole dataset takes, from rates that were measured.

    python -m benchmarks.paper_scale

Nothing is measured here. The rates are arguments, with those of `compare.py` and of
`buckets.py`'s network as defaults; the output lists them, and what limits each step.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence

from benchmarks.measure.runs import print_table


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is built.

    Attributes:
      name: what to call it.
      images: how many there are; all are listed.
      num_bytes: of all images.
    """

    name: str
    images: int
    num_bytes: float


DATASETS = (
    # The published sizes of the two archives.
    Dataset("ImageNet, all of it", 1_331_167, 154.6e9),
    # 13 million images in 1.3 TB are the figures in papers for the 2011 fall release.
    Dataset("ImageNet-21k", 13_000_000, 1.3e12),
)


@dataclasses.dataclass(frozen=True)
class Rates:
    """Rates that were measured, or are assumed for a network.

    Attributes:
      headers_a_second: found by one machine on a local disk.
      disk_bytes_a_second: that a local disk reads, or writes.
      records_a_second: that one CPU makes of images that are in memory.
      cpus: of each worker.
      seconds_a_request: that a store takes.
      connection_bytes_a_second: that one connection brings.
      nic_bytes_a_second: that a worker's network brings.
      stretch_bytes: that a walk of an archive in a bucket reads at a time.
      stretches_in_flight: how many of them it requests at once.
      images_in_flight: how many each shard's reader requests at once.
      plan_bytes: of an entry and its record's size in the driver's memory.
    """

    headers_a_second: float = 60_000
    disk_bytes_a_second: float = 500_000_000
    records_a_second: float = 1_500
    cpus: int = 8
    seconds_a_request: float = 0.03
    connection_bytes_a_second: float = 100_000_000
    nic_bytes_a_second: float = 1_250_000_000
    stretch_bytes: int = 8 << 20
    stretches_in_flight: int = 32
    images_in_flight: int = 64
    plan_bytes: float = 240

    def seconds_to_fetch(self, num_bytes: float) -> float:
        """Returns how long one request to a store takes."""
        return self.seconds_a_request + num_bytes / self.connection_bytes_a_second


def locate(dataset: Dataset, rates: Rates, *, bucket: bool) -> dict[str, float]:
    """Returns the seconds of each step of finding all images with one machine.

    The steps overlap. In a bucket, the archives are read in full.
    """
    if not bucket:
        return {"headers": dataset.images / rates.headers_a_second}
    a_stretch = rates.seconds_to_fetch(rates.stretch_bytes) / rates.stretches_in_flight
    return {
        "network": dataset.num_bytes / rates.nic_bytes_a_second,
        "connections": dataset.num_bytes / rates.stretch_bytes * a_stretch,
    }


def write(
    dataset: Dataset, rates: Rates, workers: int, *, bucket: bool
) -> dict[str, float]:
    """Returns the seconds of each step of writing all shards; they overlap."""
    images, num_bytes = dataset.images / workers, dataset.num_bytes / workers
    steps = {"CPUs": images / (rates.records_a_second * rates.cpus)}
    if bucket:
        an_image = rates.seconds_to_fetch(dataset.num_bytes / dataset.images)
        steps["network"] = 2 * num_bytes / rates.nic_bytes_a_second
        steps["requests"] = images * an_image / (rates.images_in_flight * rates.cpus)
    else:
        steps["disks"] = 2 * num_bytes / rates.disk_bytes_a_second
    return steps


def rows(rates: Rates, workers: Sequence[int]) -> Iterator[list[str]]:
    """Yields the table's rows."""
    for dataset in DATASETS:
        for bucket in (False, True):
            for number in workers:
                parts = (
                    locate(dataset, rates, bucket=bucket),
                    write(dataset, rates, number, bucket=bucket),
                )
                yield [
                    dataset.name,
                    "bucket" if bucket else "local disks",
                    str(number),
                    *(
                        f"{max(part.values()) / 60:.1f} ({_limit(part)})"
                        for part in parts
                    ),
                    f"{sum(max(part.values()) for part in parts) / 60:.1f}",
                    f"{dataset.images * rates.plan_bytes / 1e9:.1f}",
                ]


def _limit(steps: dict[str, float]) -> str:
    """Returns which of several steps that overlap takes longest."""
    return max(steps, key=steps.__getitem__)


def main() -> int:
    """Prints the rates and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for field in dataclasses.fields(Rates):
        value = field.default
        parser.add_argument(f"--{field.name}", type=type(value), default=value)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    args = vars(parser.parse_args())
    workers = args.pop("workers")
    print(f"Rates: {', '.join(f'{name} {value:,}' for name, value in args.items())}\n")
    print_table(
        "dataset | archives and dataset | workers | locate, minutes (limit)"
        " | write, minutes (limit) | together | plan, GB",
        list(rows(Rates(**args), workers)),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
