"""The same archives give the same bytes."""

import pytest

from tests.builds.conftest import run_program
from tests.shared.final_place import contents


def _build(small_data, data_dir, **options):
    run_program(f"build(**{options})", small_data, data_dir)
    return contents(data_dir / "imagenet2012_subset" / "small" / "5.0.0")


def test_any_number_of_workers_in_any_process(small_data, tmp_path):
    # An even number of processes could agree on protobuf's random order by chance.
    first, *others = (
        _build(small_data, tmp_path / str(workers), num_shards=3, workers=workers)
        for workers in (1, 2, 8)
    )
    assert len(first) == 3 + 3 + 4
    assert others == [first, first]


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_other_formats(build, tmp_path, file_format):
    first, second = (
        build(
            workers=workers,
            file_format=file_format,
            num_shards=3,
            data_dir=tmp_path / str(workers),
        )
        for workers in (1, 3)
    )
    assert contents(first.data_path) == contents(second.data_path)
