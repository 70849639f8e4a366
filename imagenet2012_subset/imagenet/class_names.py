"""Names for the 1,000 classes.

`class_names.tsv` has a line for each class, in label order: its wnid, a tab, and the
lemmas of its WordNet synset. WordNet requires the notice in `WORDNET_LICENSE.txt`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import operator
from typing import SupportsIndex

import numpy as np

# Classes that share their first lemma with another class, if case is ignored.
_DISTINCT_NAMES = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n02113186": "Cardigan Welsh corgi",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (tank suit)",
}


def class_name(label_or_wnid: SupportsIndex | str) -> str:
    """Returns the name of a class, such as `jack-o'-lantern`.

    Args:
      label_or_wnid: a label, 0 to 999, as any kind of integer; or a WordNet id, such as
        `n03590841`.

    Raises:
      ValueError: if there is no such class.
    """
    return class_names()[_label(label_or_wnid)]


@functools.cache
def class_names() -> tuple[str, ...]:
    """Returns the 1,000 distinct names; a class's label is its index.

    A name is WordNet's first lemma, or a longer name if two classes share this lemma:
    `crane (bird)` and `crane (machine)`.
    """
    return tuple(
        _DISTINCT_NAMES.get(wnid, lemmas[0]) for wnid, lemmas in _lemmas().items()
    )


def class_lemmas(label_or_wnid: SupportsIndex | str) -> tuple[str, ...]:
    """Returns WordNet's lemmas for a class, the most common one first.

    Other classes may share some of them.

    Raises:
      ValueError: if the class does not exist.
    """
    return tuple(_lemmas().values())[_label(label_or_wnid)]


def _label(label_or_wnid: SupportsIndex | str) -> int:
    if isinstance(label_or_wnid, str):
        if label_or_wnid not in _lemmas():
            raise ValueError(
                f"{label_or_wnid!r} is not one of ILSVRC 2012's 1,000 WordNet ids, "
                "such as 'n01440764'"
            )
        return tuple(_lemmas()).index(label_or_wnid)
    label = -1
    # Python treats True as an integer, but it is not meant as a label.
    if not isinstance(label_or_wnid, (bool, np.bool_)):
        with contextlib.suppress(TypeError):
            label = operator.index(label_or_wnid)
    if not 0 <= label < len(_lemmas()):
        raise ValueError(
            f"{label_or_wnid!r} is neither a label, an integer from 0 to "
            f"{len(_lemmas()) - 1}, nor a WordNet id, such as 'n01440764'"
        )
    return label


@functools.cache
def _lemmas() -> dict[str, tuple[str, ...]]:
    """Returns each wnid's lemmas, in label order."""
    text = importlib.resources.files(__package__).joinpath("class_names.tsv")
    lines = text.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {wnid: tuple(lemmas.split(", ")) for wnid, lemmas in rows}
