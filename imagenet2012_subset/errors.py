"""What a user is told when the right dataset cannot be built."""

from __future__ import annotations

import os


class DatasetError(Exception):
    """Something outside the program keeps the right dataset from being built.

    The message has three parts, each also an attribute:

    Attributes:
      path: the file or directory at fault.
      problem: what is wrong with it.
      remedy: what the user can do next.
    """

    def __init__(self, path: os.PathLike[str] | str, problem: str, remedy: str):
        super().__init__(os.fspath(path), problem, remedy)
        self.path = os.fspath(path)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. {self.remedy}"


class ManualDirError(DatasetError):
    """The manual directory does not hold the two archives."""


class ArchiveError(DatasetError):
    """An archive is damaged, incomplete or another one than its name says."""


class SubsetListError(DatasetError):
    """A subset list cannot be read, or names what ImageNet does not have."""


class WriteError(DatasetError):
    """The dataset cannot be written where it was asked for."""
