"""Tables as Markdown has them."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(heading: str, rows: Sequence[Sequence[str]]) -> None:
    """Prints a table.

    Args:
      heading: Names of the columns, with `|` between them.
      rows: A text for each column.
    """
    columns = heading.count("|") + 1
    print(f"| {heading} |\n|{' --- |' * columns}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)
