"""Computes what a paper's whole dataset takes, from rates that were measured.

    python -m benchmarks.paper_scale

Nothing is measured here. The rates are arguments, with those of `compare.py` and of
`buckets.py`'s network as defaults; the output lists them, and what limits each
case.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from benchmarks.measure.runs import print_table


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is built.

    Attributes:
      name: what to call it.
      images: how many are listed; all of the archive's are.
      num_bytes: of all images.
      inner_tars: how many tars can be walked at once.
    """

    name: str
    images: int
    num_bytes: float
    inner_tars: int


DATASETS = (
    # The published sizes of the two archives.
    Dataset("ImageNet, all of it", 1_331_167, 154.6e9, 1_000),
    # 13 million images in 1.3 TB are the figures in papers for the 2011 fall release.
    Dataset("ImageNet-21k", 13_000_000, 1.3e12, 21_000),
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
      requests_a_second: that one process makes and answers take.
      in_flight: requests under way at once in one process.
      connection_bytes_a_second: that one connection brings.
      nic_bytes_a_second: that a worker's network brings.
      plan_bytes: of an entry and its record's size in the driver's memory.
    """

    headers_a_second: float
    disk_bytes_a_second: float
    records_a_second: float
    cpus: int
    seconds_a_request: float
    requests_a_second: float
    in_flight: int
    connection_bytes_a_second: float
    nic_bytes_a_second: float
    plan_bytes: float

    @classmethod
    def defaults(cls) -> Rates:
        """Returns the default rates."""
        return cls(46_665, 500e6, 1_500, 8, 0.03, 2_000, 512, 100e6, 1.25e9, 240)


def slowest(steps: dict[str, float]) -> tuple[str, float]:
    """Returns which of several steps that overlap takes longest, and its seconds."""
    return max(steps.items(), key=lambda step: step[1])


def locate_locally(dataset: Dataset, rates: Rates) -> tuple[str, float]:
    """Returns what limits finding all images on one disk, and the seconds."""
    return slowest({"headers of one disk": dataset.images / rates.headers_a_second})


def locate_in_bucket(dataset: Dataset, rates: Rates) -> tuple[str, float]:
    """Returns what limits finding all images in a bucket by one process."""
    together = min(rates.in_flight, dataset.inner_tars)
    alone = slowest(
        {
            "latency": dataset.images * rates.seconds_a_request / together,
            "requests of one process": dataset.images / rates.requests_a_second,
        }
    )
    whole = ("network of one machine", dataset.num_bytes / rates.nic_bytes_a_second)
    return min(alone, whole, key=lambda way: way[1])


def write(
    dataset: Dataset, rates: Rates, workers: int, *, bucket: bool
) -> tuple[str, float]:
    """Returns what limits writing all shards, and the seconds."""
    each = 1 / workers
    steps = {
        "CPUs": dataset.images * each / (rates.records_a_second * rates.cpus),
    }
    if bucket:
        steps["network"] = 2 * dataset.num_bytes * each / rates.nic_bytes_a_second
        # As many images are under way at once as each shard's reader asks for ahead.
        image = dataset.num_bytes / dataset.images
        seconds = rates.seconds_a_request + image / rates.connection_bytes_a_second
        ahead = 64 * rates.cpus
        steps["latency"] = dataset.images * each * seconds / ahead
        steps["requests"] = dataset.images * each / rates.requests_a_second
    else:
        steps["disks"] = 2 * dataset.num_bytes * each / rates.disk_bytes_a_second
    return slowest(steps)


def rows(rates: Rates, workers: Sequence[int]) -> list[list[str]]:
    """Returns the table's rows."""
    table = []
    for dataset in DATASETS:
        for bucket in (False, True):
            locate = (locate_in_bucket if bucket else locate_locally)(dataset, rates)
            for number in workers:
                written = write(dataset, rates, number, bucket=bucket)
                table.append(
                    [
                        dataset.name,
                        "bucket" if bucket else "local disks",
                        str(number),
                        f"{locate[1] / 60:.1f} ({locate[0]})",
                        f"{written[1] / 60:.1f} ({written[0]})",
                        f"{(locate[1] + written[1]) / 60:.1f}",
                        f"{dataset.images * rates.plan_bytes / 1e9:.1f}",
                    ]
                )
    return table


def main() -> int:
    """Prints the rates and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for field in dataclasses.fields(Rates):
        value = getattr(Rates.defaults(), field.name)
        parser.add_argument(f"--{field.name}", type=type(value), default=value)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    args = vars(parser.parse_args())
    workers = args.pop("workers")
    print(
        "Rates: "
        + ", ".join(f"{name} {value:,}" for name, value in args.items())
        + "\n"
    )
    print_table(
        "dataset | archives and dataset | workers | locate, minutes (limit)"
        " | write, minutes (limit) | together | plan, GB",
        rows(Rates(**args), workers),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
