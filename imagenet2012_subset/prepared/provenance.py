"""Records what a dataset was built from, and compares it with a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import SubsetListError, WriteError, counted
from imagenet2012_subset.imagenet.names import NUM_VALIDATION_IMAGES, TRAINING
from imagenet2012_subset.prepared.dataset import PreparedDataset, overwriting
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.subset_list import (
    PUBLISHED_FINGERPRINTS,
    download_list,
    fingerprint,
    parse_subset_list,
    read_subset_list,
)

# Keys of `metadata.json`. Datasets of version 1.0.0 have only the first one.
_FINGERPRINT = "training_names_sha256"
_NUM_NAMES = "training_names"
_URL = "subset_list_url"
_VALIDATION_IMAGES = "validation_images"
_MAX_EXAMPLES = "max_examples_per_split"
_IGNORE_DUPLICATES = "ignore_duplicates"
_BUILT_BY = "made_by"


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Everything that determines a dataset's content, besides the images.

    Attributes:
      num_examples: of each split that has any.
      names_sha256: the fingerprint of the subset list; None if it is not known.
      num_names: how many names the list has; None if it is not known.
      subset_list: the list's URL or path; a dataset only records a URL.
      validation_images: how many the config requires; None if it is not recorded.
      max_examples: the limit `max_examples_per_split`; None if there was none.
      ignore_duplicates: whether the build used this option.
      nondeterministic_order: whether the examples are in source order, and not in the
        order of TFDS's hashes.
    """

    num_examples: Mapping[str, int]
    names_sha256: str | None = None
    num_names: int | None = None
    subset_list: str | None = None
    validation_images: int | None = None
    max_examples: int | None = None
    ignore_duplicates: bool = False
    nondeterministic_order: bool = False

    @classmethod
    def of(cls, dataset: PreparedDataset) -> Provenance:
        """Returns the provenance that a prepared dataset records.

        The name of a published config says what its dataset contains: such a dataset
        has no metadata.
        """
        metadata = dataset.metadata
        num_examples = {
            name: split.num_examples
            for name, split in dataset.splits.items()
            if split.num_examples
        }
        if published := PUBLISHED_FINGERPRINTS.get(dataset.info.config_name):
            number = num_examples.get("train")
            is_cut = number == num_examples.get("validation")
            metadata = {
                _FINGERPRINT: published,
                _VALIDATION_IMAGES: NUM_VALIDATION_IMAGES,
                # Only max_examples_per_split makes its splits equally large.
                _MAX_EXAMPLES: number if is_cut else None,
            }
        return cls(
            num_examples=num_examples,
            names_sha256=_text(metadata.get(_FINGERPRINT)),
            num_names=_number(metadata.get(_NUM_NAMES)),
            subset_list=_text(metadata.get(_URL)),
            validation_images=_number(
                metadata.get(_VALIDATION_IMAGES), NUM_VALIDATION_IMAGES
            ),
            max_examples=_number(metadata.get(_MAX_EXAMPLES)),
            ignore_duplicates=bool(metadata.get(_IGNORE_DUPLICATES)),
            nondeterministic_order=_nondeterministic_order(dataset.info),
        )

    @classmethod
    def requested(
        cls,
        config: SubsetConfig,
        options: tfds.download.DownloadConfig,
        found: Provenance,
        folder: epath.Path,
        *,
        own_list: bool,
    ) -> Provenance:
        """Returns the provenance that an existing dataset needs to be reused.

        A published list cannot change, so it is not read. The user's own list is
        assumed unchanged if it cannot be downloaded and the dataset in `folder`, which
        records `found`, records the same URL.

        Raises:
          SubsetListError: if the list is not available.
        """
        most = options.max_examples_per_split
        names_sha256, num_names = None, config.training_images or 0
        if own_list and most != 0:
            listed = _current_list(config, found, folder)
            names_sha256 = fingerprint(listed) if listed else found.names_sha256
            num_names = len(listed) if listed else found.num_names or 0
        available = {"train": num_names, "validation": config.validation_images}
        return cls(
            num_examples={
                split: number if most is None else min(number, most)
                for split, number in available.items()
                if number and most != 0
            },
            names_sha256=names_sha256,
            subset_list=config.subset_list,
            ignore_duplicates=options.ignore_duplicates,
            nondeterministic_order=_nondeterministic_order(options),
        )


def metadata_of(
    config: SubsetConfig,
    listed: Sequence[str],
    options: tfds.download.DownloadConfig,
    built_by: str,
) -> dict[str, Any]:
    """Returns the `metadata.json` of a dataset that is built from a custom list.

    Args:
      config: names the list.
      listed: the names in the list.
      options: of the build.
      built_by: the builder and its version.
    """
    return {
        _FINGERPRINT: fingerprint(listed),
        _NUM_NAMES: len(listed),
        # A path means nothing on another machine.
        _URL: config.subset_list if config.is_remote else None,
        _VALIDATION_IMAGES: config.validation_images,
        _MAX_EXAMPLES: options.max_examples_per_split,
        _IGNORE_DUPLICATES: options.ignore_duplicates,
        _BUILT_BY: built_by,
    }


def ensure_requested(
    dataset: PreparedDataset,
    config: SubsetConfig,
    options: tfds.download.DownloadConfig,
    *,
    own_list: bool,
) -> None:
    """Raises an error unless a dataset matches a config and options.

    Args:
      dataset: the existing dataset.
      config: names the subset list.
      options: of the requested build.
      own_list: whether the list is the user's, not a published one.

    Raises:
      SubsetListError: if the training images are those of a different list, or if the
        list is not available.
      WriteError: if the number or the order of the images differs.
    """
    found = Provenance.of(dataset)
    requested = Provenance.requested(
        config, options, found, dataset.folder, own_list=own_list
    )
    ensure_same(requested, found, dataset.folder)


def ensure_same(requested: Provenance, found: Provenance, folder: epath.Path) -> None:
    """Raises an error unless the dataset in `folder` records what is requested.

    Raises:
      SubsetListError: if the training images are those of a different list.
      WriteError: if the number or the order of the images differs.
    """
    has_images = bool(requested.num_examples and found.num_examples)
    if has_images and requested.names_sha256 not in (None, found.names_sha256):
        if found.names_sha256 is None:
            raise WriteError(
                folder,
                "does not record which subset list it was built from",
                "Check whether it is the right one: python -m imagenet2012_subset "
                f"check {folder} --subset_list LIST. {overwriting(folder)}",
            )
        raise SubsetListError(
            requested.subset_list or "subset_list",
            f"is not the list that {folder} was built from",
            f"Give the SubsetConfig another name. {overwriting(folder)}",
        )
    for split in sorted({*requested.num_examples, *found.num_examples}):
        wanted = requested.num_examples.get(split, 0)
        existing = found.num_examples.get(split, 0)
        if wanted != existing:
            raise WriteError(
                folder,
                f"has {counted(existing, f'{split} image')}, but {wanted:,} are "
                "requested",
                "If it was built with other options (max_examples_per_split, "
                "validation_images), use the same ones. Otherwise look for what is "
                f"missing: python -m imagenet2012_subset check {folder}. "
                f"{overwriting(folder)}",
            )
    if requested.nondeterministic_order != found.nondeterministic_order:
        orders = {True: "the order of the archives", False: "TFDS's order"}
        raise WriteError(
            folder,
            f"has its images in {orders[found.nondeterministic_order]}, but "
            f"{orders[requested.nondeterministic_order]} is requested",
            f"Use the same nondeterministic_order. {overwriting(folder)}",
        )
    if found.ignore_duplicates and not requested.ignore_duplicates:
        raise WriteError(
            folder,
            "was built with ignore_duplicates: its archives may contain several images "
            "of the same name",
            f"Use ignore_duplicates again. {overwriting(folder)}",
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object, most: int = TRAINING.num_images) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= most else None


def _nondeterministic_order(of: Any) -> bool:
    return bool(getattr(of, "nondeterministic_order", False))  # New in TFDS 4.9.8.


def _current_list(
    config: SubsetConfig, found: Provenance, folder: epath.Path
) -> list[str] | None:
    """Returns the names in the config's list.

    None if the list cannot be downloaded, but its URL is the one that the dataset was
    built from.
    """
    url = config.subset_list
    if not config.is_remote:
        return read_subset_list(url)
    try:
        data = download_list(url)  # TFDS would return an earlier download.
    except OSError as error:
        if found.subset_list == url:
            return None
        raise SubsetListError(
            url,
            f"cannot be downloaded ({error}), and {folder} was not built from this "
            "URL as far as it records",
            "Load the dataset by its name, such as "
            f'tfds.load("imagenet2012_subset/{config.name}"), if it is the right one',
        ) from error
    return parse_subset_list(data, url)
