"""What several test modules share."""

from __future__ import annotations

import dataclasses
import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import hypothesis
import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig
from imagenet2012_subset.imagenet import jpeg
from tests.shared import archives

# A busy machine is not a failure.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Gives the suite its own temporary directory, and removes it at the end.

    TFDS leaves temporary directories behind. Some tests run as another user, who has to
    be able to write there.
    """
    if hasattr(config, "workerinput"):
        return  # A worker of pytest-xdist inherits TMPDIR.
    root = tempfile.mkdtemp(prefix="imagenet2012_subset_tests_")
    os.chmod(root, 0o1777)
    os.environ["TMPDIR"] = root
    tempfile.tempdir = None
    config.add_cleanup(lambda: shutil.rmtree(root, ignore_errors=True))


DUMMY_DATA = pathlib.Path(__file__).parent.parent / "dummy_data"
REAL_DATA_VARIABLE = "IMAGENET2012_SUBSET_REAL_DATA"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    tfds.disable_progress_bar()


@pytest.fixture(scope="module")
def converted_here() -> Iterator[None]:
    """Converts images in this process: a child takes seconds to import TensorFlow."""

    def convert(images: Sequence[tuple[str, bytes]]) -> None:
        jpeg._converted.update(zip(images, jpeg._results(images), strict=True))

    with mock.patch.object(jpeg, "convert", convert):
        yield


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes locks unavailable, as on some network file systems."""
    fcntl = pytest.importorskip("fcntl")

    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)


@pytest.fixture
def real_data() -> pathlib.Path:
    """The folder with the real subset lists (`lists/`) and photos (`photos/`)."""
    if not (folder := os.environ.get(REAL_DATA_VARIABLE)):
        pytest.skip(f"{REAL_DATA_VARIABLE} names no folder with lists/ and photos/")
    return pathlib.Path(folder)


@dataclasses.dataclass
class SmallData:
    """Archives with three synsets of four images and five validation images.

    Attributes:
      manual_dir: the folder of the archives.
      subset_list: lists half of the training images.
      training: the training images by wnid, as (name, data).
      validation: the validation images, as (name, data).
    """

    manual_dir: pathlib.Path
    subset_list: pathlib.Path
    training: dict[str, list[tuple[str, bytes]]]
    validation: list[tuple[str, bytes]]

    @property
    def listed(self) -> list[str]:
        return self.subset_list.read_text().split()

    def write(self) -> None:
        """Writes both archives anew, from what `training` and `validation` hold."""
        archives.write_manual_dir(
            self.manual_dir,
            archives.training_tar(self.training),
            archives.tar_bytes(self.validation),
        )


@pytest.fixture
def small_data(tmp_path: pathlib.Path) -> SmallData:
    training = {
        wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(10 * i + n)) for n in (7, 2, 30, 11)]
        for i, wnid in enumerate(("n01440764", "n01443537", "n15075141"))
    }
    validation = [
        (archives.validation_name(n), archives.jpeg(900 + n)) for n in (4, 1, 5, 3, 2)
    ]
    subset_list = tmp_path / "subset.txt"
    listed = [name for images in training.values() for name, _ in images[::2]]
    subset_list.write_text("\n".join(reversed(listed)) + "\n")
    data = SmallData(tmp_path / "manual", subset_list, training, validation)
    data.write()
    return data


SmallBuilder = Callable[..., imagenet2012_subset.Builder]
Build = Callable[..., imagenet2012_subset.Builder]


@pytest.fixture
def small_builder(small_data: SmallData, tmp_path: pathlib.Path) -> SmallBuilder:
    """Makes a builder of the small data; keywords go to it or to its config."""

    def make(
        builder_class: type[imagenet2012_subset.Builder] = imagenet2012_subset.Builder,
        *,
        data_dir: pathlib.Path | str | None = None,
        subset_list: pathlib.Path | str | None = None,
        validation_images: int | None = None,
        **keywords: Any,
    ) -> imagenet2012_subset.Builder:
        config = SubsetConfig(
            name="small",
            subset_list=str(subset_list or small_data.subset_list),
            validation_images=validation_images or len(small_data.validation),
        )
        data_dir = data_dir or tmp_path / "data"
        return builder_class(config=config, data_dir=data_dir, **keywords)

    return make


_OF_BUILDER = ("data_dir", "subset_list", "validation_images", "workers", "file_format")


@pytest.fixture
def build(small_builder: SmallBuilder, small_data: SmallData) -> Build:
    """Builds the small data; keywords go to `small_builder` or a DownloadConfig."""

    def build_small(
        builder: imagenet2012_subset.Builder | None = None,
        *,
        manual_dir: pathlib.Path | str | None = None,
        download_dir: pathlib.Path | None = None,
        **options: Any,
    ) -> imagenet2012_subset.Builder:
        keywords = {key: options.pop(key) for key in _OF_BUILDER if key in options}
        builder = builder or small_builder(**keywords)
        builder.download_and_prepare(
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir or small_data.manual_dir, **options
            ),
        )
        return builder

    return build_small


def read_split(
    builder: tfds.core.DatasetBuilder, split: str
) -> list[tuple[str, bytes, str]]:
    """Returns (file name, image bytes, wnid) of each example, in order."""
    dataset = builder.as_dataset(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    wnid_of = builder.info.features["label"].int2str
    return [
        (
            example["file_name"].decode(),
            example["image"],
            wnid_of(example["label"]),
        )
        for example in dataset.as_numpy_iterator()
    ]
