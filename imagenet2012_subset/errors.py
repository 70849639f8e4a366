"""The errors that end a build, and text that their messages share."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_SHOWN = 3

# Internals that TensorFlow adds to an error message.
_GRAPH_NAMES = re.compile(r"^\{\{.*?\}\} | \[Op:\w+\].*$")

# Advice that several errors share.
SEE_DAMAGE = (
    "The archive is damaged: download it again and compare its sha256 "
    "(python -m imagenet2012_subset check --sha256)"
)
LEAVE_ALONE = "make sure that nothing writes to it, then build again"


class DatasetError(Exception):
    """Something outside the program prevents a correct build.

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
    """The manual directory does not contain the images of a split in any form."""


class ArchiveError(DatasetError):
    """An archive or an extracted folder is damaged, incomplete or the wrong one."""


class SubsetListError(DatasetError):
    """A subset list cannot be read, or contains names that are not in ImageNet."""


class WriteError(DatasetError):
    """The dataset cannot be written to the requested place."""


def install(packages: str, extra: str) -> str:
    """Returns the advice to install the packages of one of this project's extras."""
    return (
        f"Install it: pip install {packages}, or in a checkout pip install '.[{extra}]'"
    )


def first_of(names: Sequence[str]) -> str:
    """Returns the first few names for a message, and dots if there are more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def counted(number: int, what: str) -> str:
    """Returns a number with its noun, such as `1 image` or `12,811 images`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its name if there is none."""
    lines = str(error).splitlines()
    return _GRAPH_NAMES.sub("", lines[0]) if lines else type(error).__name__
