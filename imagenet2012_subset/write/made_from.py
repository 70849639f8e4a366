"""What a dataset was made from: told by the dataset, compared with what is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import SubsetListError, WriteError, counted
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.subset_list import fingerprint
from imagenet2012_subset.write.infos import overwriting, read_info, read_metadata

_Kept = TypeVar("_Kept")

# Keys of `metadata.json`. The first datasets have the first one alone.
_FINGERPRINT = "training_names_sha256"
_NUM_NAMES = "training_names"
_URL = "subset_list_url"
_IGNORE_DUPLICATES = "ignore_duplicates"


@dataclasses.dataclass(frozen=True)
class MadeFrom:
    """What a dataset's content follows from, beside the archives.

    Attributes:
      num_examples: of each split that has any.
      names_sha256: the fingerprint of the subset list; None if it is not told.
      num_names: how many names the list has; None if it is not told.
      subset_list: the list's URL or path; of a path a dataset does not tell.
      ignore_duplicates: whether a name could stand in the archives more than once.
      nondeterministic_order: whether the archive's order was kept.
    """

    num_examples: dict[str, int]
    names_sha256: str | None = None
    num_names: int | None = None
    subset_list: str | None = None
    ignore_duplicates: bool = False
    nondeterministic_order: bool = False


def metadata(
    config: SubsetConfig,
    listed: Sequence[str],
    options: tfds.download.DownloadConfig,
    made_by: str,
) -> dict[str, Any]:
    """Returns what a dataset with a list of its own keeps in its `metadata.json`.

    Args:
      config: names the list.
      listed: the names in it.
      options: of the build.
      made_by: the builder and its version.
    """
    return {
        _FINGERPRINT: fingerprint(listed),
        _NUM_NAMES: len(listed),
        _URL: config.subset_list if config.is_remote else None,
        "validation_images": config.validation_images,
        "max_examples_per_split": options.max_examples_per_split,
        _IGNORE_DUPLICATES: options.ignore_duplicates,
        "made_by": made_by,
    }


def read_made_from(folder: epath.Path) -> MadeFrom:
    """Returns what a prepared dataset tells of itself.

    Raises:
      WriteError: if it is no dataset, or its files cannot be read.
    """
    info = read_info(folder)
    kept = read_metadata(folder)
    num_examples = {split.name: sum(split.shard_lengths) for split in info.splits}
    return MadeFrom(
        num_examples={
            split: number for split, number in num_examples.items() if number
        },
        names_sha256=_kept(kept, _FINGERPRINT, str),
        num_names=_kept(kept, _NUM_NAMES, int),
        subset_list=_kept(kept, _URL, str),
        ignore_duplicates=bool(kept.get(_IGNORE_DUPLICATES)),
        # TFDS came to know it in 4.9.8.
        nondeterministic_order=getattr(info, "nondeterministic_order", False),
    )


def ensure_same(asked: MadeFrom, found: MadeFrom, folder: epath.Path) -> None:
    """Raises an error unless what stands in a folder is what is asked for.

    Args:
      asked: what is asked for.
      found: what the dataset tells of itself.
      folder: the dataset's.

    Raises:
      SubsetListError: if the training images are of another list.
      WriteError: if the number or the order of images is another.
    """
    if asked.num_examples and found.num_examples:
        _ensure_same_list(asked, found, folder)
    for split in sorted({*asked.num_examples, *found.num_examples}):
        _ensure_same_number(split, asked, found, folder)
    if asked.nondeterministic_order != found.nondeterministic_order:
        orders = {True: "the archive's order", False: "TFDS's order"}
        raise WriteError(
            folder,
            f"has its images in {orders[found.nondeterministic_order]}, but "
            f"{orders[asked.nondeterministic_order]} is asked for",
            f"Give the same nondeterministic_order. {overwriting(folder)}",
        )
    if found.ignore_duplicates and not asked.ignore_duplicates:
        raise WriteError(
            folder,
            "was built with ignore_duplicates, so that its archives may have held "
            "several images of a name",
            f"Give ignore_duplicates again. {overwriting(folder)}",
        )


def _kept(kept: Mapping[str, Any], key: str, kind: type[_Kept]) -> _Kept | None:
    value = kept.get(key)
    return value if isinstance(value, kind) else None


def _ensure_same_list(asked: MadeFrom, found: MadeFrom, folder: epath.Path) -> None:
    if asked.names_sha256 is None or asked.names_sha256 == found.names_sha256:
        return
    if found.names_sha256 is None:
        raise WriteError(
            folder,
            "does not say which subset list it was built from",
            "See whether it is the right one: python -m imagenet2012_subset check "
            f"{folder} --subset_list LIST. {overwriting(folder)}",
        )
    raise SubsetListError(
        asked.subset_list or "subset_list",
        f"is not the list that {folder} was built from",
        f"Give the SubsetConfig another name. {overwriting(folder)}",
    )


def _ensure_same_number(
    split: str, asked: MadeFrom, found: MadeFrom, folder: epath.Path
) -> None:
    wanted, there = (one.num_examples.get(split, 0) for one in (asked, found))
    if wanted != there:
        raise WriteError(
            folder,
            f"has {counted(there, f'{split} image')}, but {wanted:,} are asked for",
            "If it was made for other options (max_examples_per_split, "
            "validation_images), give these. If not, images are missing or too many: "
            f"python -m imagenet2012_subset check {folder} tells. "
            f"{overwriting(folder)}",
        )
