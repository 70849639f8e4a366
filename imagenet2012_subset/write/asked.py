"""What a dataset is to be made from, by its config and the options of a build."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.subset_list import fingerprint, read_subset_list
from imagenet2012_subset.write.made_from import MadeFrom, read_made_from

_TIMEOUT_SECONDS = 10


def asked_for(
    config: SubsetConfig,
    options: tfds.download.DownloadConfig,
    folder: epath.Path,
    *,
    own_list: bool,
) -> MadeFrom:
    """Returns what the dataset in a folder has to have been made from.

    Args:
      config: names the subset list.
      options: of the build that is asked for.
      folder: of the dataset that is there.
      own_list: whether the list is the user's own. That of a published config cannot
        change, and need not be had.

    Raises:
      SubsetListError: if the list cannot be had. One that cannot be downloaded just now
        is taken for the one that the dataset names, if that is its URL.
      WriteError: if the dataset cannot be read.
    """
    names_sha256 = None
    num_training = config.training_images or 0
    if own_list and options.max_examples_per_split != 0:
        found = read_made_from(folder)
        listed = _current_list(config, found, folder)
        if listed is None:
            names_sha256 = found.names_sha256
            num_training = found.num_names or 0
        else:
            names_sha256 = fingerprint(listed)
            num_training = len(listed)
    available = {"train": num_training, "validation": config.validation_images}
    most = options.max_examples_per_split
    num_examples = {
        split: number if most is None else min(number, most)
        for split, number in available.items()
    }
    return MadeFrom(
        num_examples={
            split: number for split, number in num_examples.items() if number
        },
        names_sha256=names_sha256,
        num_names=num_training,
        subset_list=config.subset_list,
        ignore_duplicates=options.ignore_duplicates,
        # TFDS came to know the option in 4.9.8.
        nondeterministic_order=bool(getattr(options, "nondeterministic_order", False)),
    )


def _current_list(
    config: SubsetConfig, found: MadeFrom, folder: epath.Path
) -> list[str] | None:
    """Returns the names in a list; None if it is the dataset's and cannot be had."""
    if not config.is_remote:
        return read_subset_list(config.subset_list)
    with tempfile.NamedTemporaryFile() as copy:
        try:
            # Not by TFDS, which would give what it downloaded before, and without
            # internet try again for minutes.
            with urllib.request.urlopen(
                config.subset_list, timeout=_TIMEOUT_SECONDS
            ) as response:
                shutil.copyfileobj(response, copy)
        except OSError as error:
            if found.subset_list == config.subset_list:
                return None
            raise SubsetListError(
                config.subset_list,
                f"cannot be downloaded ({error}), and {folder} does not say that it "
                "was built from it",
                "Load the dataset by its name, such as "
                f'tfds.load("imagenet2012_subset/{config.name}"), if it is the right '
                "one",
            ) from error
        copy.flush()
        return read_subset_list(copy.name)
