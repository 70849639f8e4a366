"""The non-public parts of TFDS, imported only here.

None of them imports TensorFlow. `Example` is TFDS's copy of `tf.train.Example`.

If a TFDS release moves one, `tests/contracts/test_tfds_internals.py` names it.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

from etils import epath
from tensorflow_datasets.core import registered
from tensorflow_datasets.core.constants import CHECKSUMS_FILENAME, INCOMPLETE_PREFIX
from tensorflow_datasets.core.dataset_builder import (
    _save_default_config_name as save_default_config_name,
)
from tensorflow_datasets.core.dataset_info import (
    DatasetInfo,
    write_dataset_info_proto as write_info_file,
)
from tensorflow_datasets.core.download import DownloadManager
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.downloader import DownloadResult
from tensorflow_datasets.core.download.util import DownloadError
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.hashing import Hasher
from tensorflow_datasets.core.naming import ShardedFileTemplate
from tensorflow_datasets.core.proto import dataset_info_pb2
from tensorflow_datasets.core.units import Size
from tensorflow_datasets.core.utils.lazy_imports_utils import tree
from tensorflow_datasets.core.utils.shard_utils import (
    ShardConfig,
    get_shard_boundaries,
)
from tensorflow_datasets.core.utils.tqdm_utils import tqdm
from tensorflow_datasets.core.writer import (
    ExampleWriter,
    _get_index_path as index_file_path,
    _write_index_file as write_index_file,
)
from tensorflow_datasets.proto.tf_example_generated_pb2 import Example

__all__ = [
    "BUILDER_METHODS",
    "CHECKSUMS_FILENAME",
    "INCOMPLETE_PREFIX",
    "DownloadError",
    "Example",
    "ExampleWriter",
    "FileFormat",
    "Hasher",
    "NonMatchingChecksumError",
    "ShardConfig",
    "ShardedFileTemplate",
    "Size",
    "UrlInfo",
    "dataset_info_pb2",
    "download",
    "get_shard_boundaries",
    "index_file_path",
    "is_replaced",
    "registered",
    "requested_manual_dir",
    "save_default_config_name",
    "tqdm",
    "tree",
    "without_bucket",
    "without_manual_dir",
    "write_index_file",
    "write_info_file",
]


def requested_manual_dir(dl_manager: DownloadManager) -> epath.Path | None:
    """Returns the manual directory, whether it exists or not."""
    # TFDS's `DatasetBuilderTestCase` replaces this property with a path.
    replaced = type(dl_manager).manual_dir
    return replaced if isinstance(replaced, epath.Path) else dl_manager._manual_dir


def without_manual_dir(dl_manager: DownloadManager) -> DownloadManager:
    """Returns the same download manager without a manual directory."""
    other = copy.copy(dl_manager)
    other._manual_dir = None
    return other


def is_replaced(method: Any) -> bool:
    """Returns whether a method of TFDS's builder is mocked."""
    return getattr(method, "__module__", None) != _BUILDER_MODULE


_BUILDER_MODULE = "tensorflow_datasets.core.dataset_builder"


def download(
    dl_manager: DownloadManager, url: str, read: Callable[[str], bytes]
) -> epath.Path:
    """Downloads a URL as `dl_manager.download` does, but with `read`.

    TFDS still takes the file from manual_dir or from an earlier download, and validates
    or registers its checksum. Its own download retries for minutes without internet.
    """

    def read_into(
        url: str, destination_path: epath.Path, verify: bool = True
    ) -> DownloadResult:
        del verify
        data = read(url)
        path = destination_path / url.rpartition("/")[2]
        path.write_bytes(data)
        downloader._pbar_url.update(1)
        checksum = hashlib.sha256(data).hexdigest()
        return DownloadResult(path, UrlInfo(Size(len(data)), checksum, path.name))

    downloader = dl_manager._downloader
    downloader._sync_download = read_into
    return dl_manager.download(url)


def without_bucket(info: DatasetInfo) -> DatasetInfo:
    """Keeps an info from looking itself up in TFDS's bucket.

    Every builder does that before its dataset exists. TFDS 4.9.7 imports TensorFlow and
    connects to Google for it, and every release leaves a temporary directory behind.
    """
    info.initialize_from_bucket = lambda: None
    return info


# Methods of `tfds.core.GeneratorBasedBuilder` that the builder calls or replaces.
BUILDER_METHODS = (
    "_build_data_dir",
    "_checksums_path",
    "_create_builder_config",
    "_example_writer",
    "_generate_splits",
    "_get_filename_template",
    "_log_download_bytes",
    "_log_download_done",
    "_update_dataset_info",
)
