"""ImageNet ILSVRC 2012 with 1% or 10% of its training images, as a TFDS dataset.

Importing this package registers the builder with `tfds.load` and `tfds.builder`. It
provides `imagenet2012_subset/1pct`, `imagenet2012_subset/10pct` and, through
`SubsetConfig`, your own subsets.
"""

from imagenet2012_subset.errors import (
    ArchiveError,
    DatasetError,
    ManualDirError,
    SubsetListError,
    WriteError,
)
from imagenet2012_subset.imagenet.class_names import class_name, class_names
from imagenet2012_subset.imagenet2012_subset_dataset_builder import Builder
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.version import __version__

__all__ = [
    "ArchiveError",
    "Builder",
    "DatasetError",
    "ManualDirError",
    "SubsetConfig",
    "SubsetListError",
    "WriteError",
    "__version__",
    "class_name",
    "class_names",
]
