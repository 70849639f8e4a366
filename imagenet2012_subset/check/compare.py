"""Compares images with those of the archive, byte by byte."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet2012_subset.check.problems import Problems
from imagenet2012_subset.check.records import Record
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import Entries, Source, decoded

_REMEDY = "Check the archive (check --sha256), then build the dataset again"


class Comparison:
    """Compares records with images of one source.

    Attributes:
      error: what kept the source from being read, after which nothing is compared.
    """

    def __init__(self, source: Source, entries: Entries):
        self.error: DatasetError | None = None
        self._images = Images(source, entries)
        self._where = source.path.name
        at = reversed([*enumerate(decoded(entries.names))])
        self._first_at = {name: i for i, name in at}

    def compare(self, problems: Problems, records: Sequence[Record]) -> None:
        """Adds what differs from the source, and what it lacks, to the problems."""
        if self.error:
            return
        both = [record for record in records if record.name in self._first_at]
        images = self._images.take([self._first_at[record.name] for record in both])
        try:
            for record, image in zip(both, images, strict=True):
                if record.image != image.data:
                    kind = "images with other bytes than the archive"
                    problems.add(kind, record.name, _REMEDY)
        except DatasetError as error:
            self.error = error
        for record in records:
            if record.name not in self._first_at:
                kind = f"images that {self._where} lacks"
                problems.add(kind, record.name, _REMEDY)
