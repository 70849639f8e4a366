"""Reads parquet files with pyarrow, which is imported when the first is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError, first_line
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.storage.open import find_files

_BATCH_ROWS = 128


@contextlib.contextmanager
def open_parquet(
    table: FileTable, columns: Iterable[str], remedy: str
) -> Iterator[Any]:
    """Opens the only file of a table as a `pyarrow.parquet.ParquetFile`.

    Args:
      table: the file.
      columns: what it has to contain, such as `image.path` for a field of a struct.
      remedy: what to do if it is not such a file.

    Raises:
      ArchiveError: if it cannot be opened, changed, or does not have the columns; also
        in place of any error of pyarrow's while it is open.
    """
    import pyarrow
    from pyarrow import parquet

    (path,) = table.paths
    if not find_files([path]).same_versions(table):
        problem = "was written to or replaced while it was in use"
        raise ArchiveError(path, problem, f"Find out why; {LEAVE_ALONE}")
    try:
        with parquet.ParquetFile(path) as file:
            present = [column.path for column in file.schema]
            if not set(columns) <= set(present):
                problem = (
                    f"has the columns {', '.join(present)}, not {', '.join(columns)}"
                )
                raise ArchiveError(path, problem, remedy)
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = f"is cut off, damaged or not a parquet file ({first_line(error)})"
        raise ArchiveError(path, problem, remedy) from error


def batches_with(
    rows: Sequence[int], file: Any, columns: Sequence[str]
) -> Iterator[tuple[int, Any]]:
    """Reads the row groups that contain these rows, in the order of the file.

    pyarrow reads and decodes a row group whole, also where a few rows are wanted.

    Yields:
      The number of a row, and a `pyarrow.RecordBatch` that starts with this row.
    """
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    starts = np.cumsum([0, *(group.num_rows for group in groups)])
    for number in np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist():
        first_row = int(starts[number])
        for batch in file.iter_batches(
            _BATCH_ROWS, row_groups=[number], columns=columns, use_threads=False
        ):
            yield first_row, batch
            first_row += len(batch)


def column_bytes(file: Any, column: str) -> int:
    """Returns how many bytes a column takes when it is not compressed."""
    index = [column.path for column in file.schema].index(column)
    return sum(
        file.metadata.row_group(i).column(index).total_uncompressed_size
        for i in range(file.metadata.num_row_groups)
    )
