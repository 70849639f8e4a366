"""What several test modules share."""

from __future__ import annotations

import dataclasses
import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig
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


Build = Callable[..., imagenet2012_subset.Builder]


@pytest.fixture
def build(small_data: SmallData, tmp_path: pathlib.Path) -> Build:
    """Builds the small data; keywords go to the builder or to its DownloadConfig."""

    def build_small(
        *,
        data_dir: pathlib.Path | None = None,
        manual_dir: pathlib.Path | None = None,
        subset_list: pathlib.Path | str | None = None,
        validation_images: int | None = None,
        workers: int | None = None,
        file_format: str | None = None,
        download_dir: pathlib.Path | None = None,
        **download_config: Any,
    ) -> imagenet2012_subset.Builder:
        builder = imagenet2012_subset.Builder(
            config=SubsetConfig(
                name="small",
                subset_list=str(subset_list or small_data.subset_list),
                validation_images=validation_images or len(small_data.validation),
            ),
            data_dir=data_dir or tmp_path / "data",
            workers=workers,
            file_format=file_format,
        )
        builder.download_and_prepare(
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir or small_data.manual_dir, **download_config
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
