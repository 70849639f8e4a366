"""What people call the 1,000 classes.

The words are WordNet's: `class_names.tsv` has a line for each class, in label order,
with its wnid and, after a tab, the synset's lemmas. `WORDNET_LICENSE.txt` beside it is
the notice that WordNet asks for.
"""

from __future__ import annotations

import functools
import importlib.resources
import operator
from typing import SupportsIndex

import numpy as np

# Classes whose first lemma is another's too, if capitals do not count.
_TOLD_APART = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n02113186": "Cardigan Welsh corgi",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (tank suit)",
}


def class_name(label_or_wnid: SupportsIndex | str) -> str:
    """Returns what people call a class, such as `jack-o'-lantern`.

    Args:
      label_or_wnid: a label, 0 to 999, as any kind of integer; or a WordNet id, such as
        `n03590841`.

    Raises:
      ValueError: if there is no such class.
    """
    return class_names()[_label(label_or_wnid)]


@functools.cache
def class_names() -> tuple[str, ...]:
    """Returns the 1,000 names, no two alike; a class's label is its index.

    A name is WordNet's first lemma, or says more where two classes share that one:
    `crane (bird)` and `crane (machine)`.
    """
    return tuple(_TOLD_APART.get(wnid, lemmas[0]) for wnid, lemmas in _lemmas().items())


def class_lemmas(label_or_wnid: SupportsIndex | str) -> tuple[str, ...]:
    """Returns all words that WordNet has for a class, the usual one first.

    Other classes may have some of them too.

    Raises:
      ValueError: if there is no such class.
    """
    return tuple(_lemmas().values())[_label(label_or_wnid)]


def _label(label_or_wnid: SupportsIndex | str) -> int:
    if isinstance(label_or_wnid, str):
        if label_or_wnid not in _lemmas():
            raise ValueError(
                f"{label_or_wnid!r} is none of ILSVRC 2012's 1,000 WordNet ids, such "
                "as 'n01440764'"
            )
        return tuple(_lemmas()).index(label_or_wnid)
    try:
        # True is an integer to Python, but surely meant as no label.
        label = (
            -1
            if isinstance(label_or_wnid, (bool, np.bool_))
            else operator.index(label_or_wnid)
        )
    except TypeError:
        label = -1
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
