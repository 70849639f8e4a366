"""A builder whose dataset is whole, is the one that is asked for, or is not there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.tfds_internals import FileFormat, save_default_config_name
from imagenet2012_subset.write.formats import read_formats, show
from imagenet2012_subset.write.infos import is_dataset, read_info, unreadable
from imagenet2012_subset.write.made_from import MadeFrom
from imagenet2012_subset.write.prepare import ensure_folder, is_prepared, prepare


class WholeDatasetBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Lets TFDS build a dataset beside its final place, and puts it there when whole.

    TFDS by itself takes whatever is in the final place for what is asked for; deletes
    what is to be overwritten before the new dataset is there; and knows the file format
    of a dataset, but adds no other.
    """

    def __init__(self, *, file_format: str | FileFormat | None = None, **kwargs: Any):
        """Makes a builder.

        Args:
          file_format: `tfrecord` (the default), `array_record`, `parquet` or `riegeli`.
            A dataset that is there in another format gets this one beside it.
          **kwargs: as for any `tfds.core.GeneratorBasedBuilder`.

        Raises:
          ValueError: if TFDS has no such `file_format`.
          WriteError: if a dataset is there that cannot be read.
        """
        self._options = tfds.download.DownloadConfig()
        # Of a dataset that this one is to lie beside, in another format.
        self._shards_as: Mapping[str, int] = {}
        try:
            super().__init__(**kwargs)
        except Exception as error:  # TFDS has a kind for each fault of the dataset's.
            if not hasattr(self, "_data_dir") or not is_dataset(self.data_path):
                raise
            read_info(self.data_path)  # Names the file, if it is that one.
            raise unreadable(self.data_path, error) from error
        self._original_state["file_format"] = file_format  # TFDS pickles this state.
        self._file_format = FileFormat.from_value(file_format or self.info.file_format)
        self._show_dataset()

    def is_prepared(self) -> bool:
        """Whether the dataset is there, and is what config, format and options ask for.

        The options are those of the last `download_and_prepare`.
        """
        # Of a folder that is yet to be made TFDS warns that it lacks a file.
        return (
            self.data_path.exists()
            and super().is_prepared()
            and is_prepared(self.data_path, self._file_format, self._asked)
        )

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        file_format: str | FileFormat | None = None,
        **kwargs: Any,
    ) -> None:
        """Builds the dataset, unless it is there already.

        A build ends with the whole dataset in its final place and on the disk, or
        leaves that place as it was: also the dataset that was to be overwritten is put
        back. A dataset that was made from something else is not taken for this one.

        Args:
          download_dir: where downloads, and what lies in the archives, are kept.
          download_config: `manual_dir` and options, as for any TFDS builder.
          file_format: as for the builder, if it is to be another.
          **kwargs: as for any TFDS builder.

        Raises:
          ManualDirError: if the archives are not where they should be.
          ArchiveError: if one is damaged, incomplete or not what its name says.
          SubsetListError: if the subset list cannot be had, cannot be right, or is not
            that of the dataset that is there.
          WriteError: if the dataset cannot be written, space is short, or something
            else is in its place.
        """
        self._options = download_config or tfds.download.DownloadConfig()
        self._file_format = FileFormat.from_value(file_format or self._file_format)
        if self._options.download_mode == tfds.GenerateMode.UPDATE_DATASET_INFO:
            self._update_dataset_info()
            return
        downloads = epath.Path(download_dir or self.data_dir_root / "downloads")
        built = prepare(
            self.data_path,
            self._file_format,
            self._asked,
            functools.partial(self._build_in, download_dir=downloads, **kwargs),
            overwrite=self._options.download_mode.overwrite_dataset,
        )
        show(self.info, self.data_path, self._file_format)
        if built:
            self._log_download_done()

    def _build_in(
        self,
        data_dir: epath.Path,
        shards_as: Mapping[str, int],
        *,
        download_dir: epath.Path,
        **kwargs: Any,
    ) -> epath.Path:
        """Lets TFDS build the dataset in another `data_dir`; returns its folder."""
        ensure_folder(download_dir)
        state = {"data_dir": data_dir, "file_format": self._file_format}
        other = type(self)(**(self._original_state | state))
        other._shards_as = shards_as
        # What TFDS prints is to name the final place.
        other._log_download_bytes = self._log_download_bytes
        other._log_download_done = lambda: None
        super(WholeDatasetBuilder, other).download_and_prepare(
            download_dir=download_dir, download_config=self._options, **kwargs
        )
        if default := self.get_default_builder_config():
            save_default_config_name(
                self.data_path.parent.parent, default_config_name=default.name
            )
        return other.data_path

    def _update_dataset_info(self) -> None:
        """Writes the texts of the code into the dataset that is there."""
        if is_dataset(self.data_path):
            show(self.info, self.data_path, read_formats(self.data_path).default)
        super()._update_dataset_info()
        self._show_dataset()

    def _asked(self) -> MadeFrom:
        return self._asked_for(self._options)

    def _show_dataset(self) -> None:
        """Lets `info` tell of the dataset that is there, if any."""
        if is_dataset(self.data_path):
            show(self.info, self.data_path, self._file_format)
        else:
            self.info.set_file_format(
                self._file_format, override=True, override_if_initialized=True
            )

    def _asked_for(self, options: tfds.download.DownloadConfig) -> MadeFrom:
        """Returns what the dataset that is there has to have been made from.

        Raises:
          DatasetError: if that cannot be told.
        """
        raise NotImplementedError
