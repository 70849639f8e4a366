"""The dataset builder: configs, features, and the steps of a build."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.data_source.after_fork import readable_after_fork
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.output import say
from imagenet2012_subset.plan.shards import (
    RecordSerializer,
    SplitPlan,
    plan_split,
    summary,
)
from imagenet2012_subset.prepared.dataset import (
    PreparedDataset,
    is_dataset,
    open_dataset,
    update_info,
)
from imagenet2012_subset.prepared.provenance import ensure_requested, metadata_of
from imagenet2012_subset.registration import register
from imagenet2012_subset.sources.discovery import Sources, find_sources, manual_dir_of
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.index_cache import index_folder_in
from imagenet2012_subset.storage.paths import is_local, supported
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.select import select_training, select_validation
from imagenet2012_subset.subset.subset_list import fetch_subset_list
from imagenet2012_subset.tfds_internals import (
    CHECKSUMS_FILENAME,
    FileFormat,
    is_replaced,
    save_default_config_name,
    tree,
    without_bucket,
)
from imagenet2012_subset.version import __version__
from imagenet2012_subset.write.beam import write_splits_on_beam
from imagenet2012_subset.write.local import num_workers, stage_splits, write_splits
from imagenet2012_subset.write.prepare import (
    ensure_folder,
    ensure_supported_data_dir,
    is_prepared,
    prepare,
)
from imagenet2012_subset.write.shard import ShardWriter

_SIMCLR_LISTS = (
    "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"
)
_PACKAGE = epath.Path(__file__).parent
# Sources may copy images here, below the staging directory of the build.
_SCRATCH = "scratch"


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builds ImageNet ILSVRC 2012 with a subset of its training images."""

    VERSION = tfds.core.Version("5.0.0")
    BUILDER_CONFIGS: ClassVar[list[SubsetConfig]] = [
        SubsetConfig(
            name="1pct",
            description="1pct of total ImageNet training set.",
            subset_list=f"{_SIMCLR_LISTS}/1percent.txt",
            training_images=12_811,
        ),
        SubsetConfig(
            name="10pct",
            description="10pct of total ImageNet training set.",
            subset_list=f"{_SIMCLR_LISTS}/10percent.txt",
            training_images=128_116,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir should contain ImageNet, training and validation images in any of these
    forms:
    - ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, not extracted. Register on
      http://www.image-net.org/download-images to download them.
    - extracted images: train/<wnid>/ and val/ (flat or val/<wnid>/), train/<wnid>.tar,
      or Kaggle's ILSVRC/Data/CLS-LOC/.
    - an imagenet2012 that TFDS prepared. If it is in your data_dir, manual_dir is not
      needed.
    - the parquet files of ILSVRC/imagenet-1k on the Hugging Face hub (needs pyarrow).
    Without internet, also put 1percent.txt or 10percent.txt there.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        file_format: str | FileFormat | None = None,
        **kwargs: Any,
    ):
        """Creates a builder.

        Args:
          workers: how many shards to write at a time; by default the value of the
            environment variable IMAGENET2012_SUBSET_WORKERS, else the number of usable
            CPUs.
          file_format: `tfrecord` (the default), `array_record`, `parquet` or `riegeli`.
            If the dataset exists in another format, this format is added.
          **kwargs: as for any `tfds.core.GeneratorBasedBuilder`: `data_dir`, `config`,
            `version`.

        Raises:
          ValueError: if `workers` is not positive, or TFDS does not know `file_format`.
          WriteError: if `data_dir` is not supported, or if the dataset there cannot be
            read.
        """
        self._workers = num_workers(workers)
        self._workers_given = workers is not None
        self._options = tfds.download.DownloadConfig()
        self._num_shards: Mapping[str, int] = {}
        super().__init__(**kwargs)
        # Also the final place in the copy that writes to a staging directory.
        self._final_path: epath.Path = self.data_path
        # TFDS pickles this state.
        self._original_state.update(workers=workers, file_format=file_format)
        self._file_format = FileFormat.from_value(file_format or self.info.file_format)
        update_info(self.info, self.data_path, self._file_format)

    def _info(self) -> tfds.core.DatasetInfo:
        info = self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "file_name": tfds.features.Text(),
                    "image": tfds.features.Image(),
                    "label": tfds.features.ClassLabel(names_file=names.wnids_file()),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict() if self._has_own_list else None,
            homepage="http://image-net.org/",
        )
        return without_bucket(info)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        sources = self._find_sources(dl_manager)
        images = self._select(sources, dl_manager, tfds.download.DownloadConfig())
        return {split: self._generate_examples(images[split]) for split in images}

    def _generate_examples(
        self, images: Images
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for image in images:
            yield (
                image.name,
                {"file_name": image.name, "image": image.data, "label": image.wnid},
            )

    def _find_sources(self, dl_manager: tfds.download.DownloadManager) -> Sources:
        data_dir = self._final_path.parents[2]
        return find_sources(
            manual_dir_of(dl_manager, data_dir),
            index_folder=index_folder_in(dl_manager.download_dir),
            on_choice=say,
            data_dir=data_dir,
        )

    def _select(
        self,
        sources: Sources,
        dl_manager: tfds.download.DownloadManager,
        options: tfds.download.DownloadConfig,
    ) -> dict[str, Images]:
        """Returns the images of each split, in source order."""
        config: SubsetConfig = self.builder_config
        listed = fetch_subset_list(config, dl_manager, self.url_infos)
        if self._has_own_list:
            self.info.metadata.update(
                metadata_of(config, listed, options, f"{self.name} {__version__}")
            )
        return {
            "train": select_training(
                sources.training, listed, ignore_duplicates=options.ignore_duplicates
            ),
            "validation": select_validation(
                sources.validation,
                config.validation_images,
                ignore_duplicates=options.ignore_duplicates,
            ),
        }

    def _generate_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> list[tfds.core.SplitInfo]:
        """Finds, selects, plans and writes images without shuffling on disk.

        The base class would write the examples of `_split_generators`.
        """
        on_beam = bool(download_config.beam_runner or download_config.beam_options)
        if on_beam and self._workers_given:
            raise ValueError(
                "workers is for builds without Beam: use an option of the runner, such "
                "as direct_num_workers"
            )
        sources = self._find_sources(dl_manager)
        with sources.naming_alternatives():
            images = self._select(sources, dl_manager, download_config)
            if self._is_staged:
                images = stage_splits(
                    images,
                    self.data_dir_root / _SCRATCH,
                    on_dataset_disk=is_local(self._final_path),
                )
            plans = [
                self._plan(split, selected, download_config)
                for split, selected in images.items()
            ]
            say(f"To write: {summary(plans)}")
            writer = ShardWriter(
                self._generate_examples,
                RecordSerializer(self.info.features),
                self._example_writer(),
            )
            if on_beam:
                write_splits_on_beam(
                    plans,
                    writer,
                    runner=download_config.beam_runner,
                    options=download_config.beam_options,
                )
            else:
                write_splits(plans, writer, workers=self._workers)
        return [plan.split_info for plan in plans]

    def _plan(
        self, split: str, images: Images, options: tfds.download.DownloadConfig
    ) -> SplitPlan:
        template = self._get_filename_template(split)
        if not is_local(self._final_path):
            template = template.replace(data_dir=self._final_path)
        shards = options.get_shard_config()
        num_shards = self._num_shards.get(split, shards.num_shards)
        return plan_split(
            split,
            images.source,
            images.entries,
            images.stored_sizes(),
            dataclasses.replace(shards, num_shards=num_shards),
            template,
            max_examples=options.max_examples_per_split,
            # New in TFDS 4.9.8.
            shuffle=not getattr(options, "nondeterministic_order", False),
        )

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        file_format: str | FileFormat | None = None,
        **kwargs: Any,
    ) -> None:
        """Builds the dataset, unless it exists already.

        A build either syncs the complete dataset to its final place or leaves that
        place unchanged: if overwriting fails, the old dataset is restored. An existing
        dataset that was built from a different list or with different options is an
        error.

        Args:
          download_dir: where downloads and archive indices are stored.
          download_config: `manual_dir` and options, as for any TFDS builder.
          file_format: overrides the builder's `file_format`.
          **kwargs: as for any TFDS builder.

        Raises:
          ManualDirError: if the images of a split cannot be found.
          ArchiveError: if an archive is damaged, incomplete or the wrong one.
          SubsetListError: if the subset list is unavailable or invalid, or the existing
            dataset was built from a different one.
          WriteError: if the dataset cannot be written, there is not enough space, or
            something else exists in its place.
        """
        method_of_tfds = tfds.core.DatasetBuilder.download_and_prepare
        # `tfds.testing.mock_data` replaces the method.
        if self._is_staged or is_replaced(method_of_tfds):
            super().download_and_prepare(
                download_dir=download_dir,
                download_config=download_config,
                file_format=file_format,
                **kwargs,
            )
            return
        self._options = download_config or tfds.download.DownloadConfig()
        if (manual_dir := self._options.manual_dir) is not None:
            self._options = dataclasses.replace(
                self._options, manual_dir=supported(manual_dir)
            )
        self._file_format = FileFormat.from_value(file_format or self._file_format)
        mode = self._options.download_mode
        if mode == tfds.GenerateMode.UPDATE_DATASET_INFO:
            self._update_dataset_info()
            return
        downloads = epath.Path(download_dir or self.data_dir_root / "downloads")

        def build(data_dir: epath.Path, num_shards: Mapping[str, int]) -> epath.Path:
            ensure_folder(downloads)
            say(
                f"{self.name} {__version__}, in place of the builder that TFDS ships, "
                f"builds {self.info.full_name} in {self.data_dir}"
            )
            staged = self._staged_in(data_dir, num_shards)
            staged.download_and_prepare(
                download_dir=downloads, download_config=self._options, **kwargs
            )
            return staged.data_path

        built = prepare(
            self.data_path,
            self._file_format,
            self._ensure_requested,
            build,
            overwrite=mode.overwrite_dataset,
        )
        update_info(self.info, self.data_path, self._file_format)
        if built:
            if default := self.get_default_builder_config():
                save_default_config_name(
                    self.data_path.parent.parent, default_config_name=default.name
                )
            dataset = f"{self.name}/{self.builder_config_name}"
            data_dir = os.fspath(self.data_dir_root)
            say(f"Built. Load it with tfds.load({dataset!r}, data_dir={data_dir!r})")

    def _staged_in(
        self, data_dir: epath.Path, num_shards: Mapping[str, int]
    ) -> Builder:
        """Returns a copy of this builder that writes to a staging directory.

        Both share one `info`.

        Args:
          data_dir: the staging directory.
          num_shards: the required number of shards of a split, by split name.
        """
        staged = object.__new__(type(self))
        staged.__dict__.update(self.__dict__)
        root, folder = self._build_data_dir(os.fspath(data_dir))
        staged._data_dir_root, staged._data_dir = root, folder
        staged._num_shards = num_shards
        staged.info.set_file_format(self._file_format)
        (data_dir / _SCRATCH).mkdir()
        return staged

    @property
    def _is_staged(self) -> bool:
        return bool(self.data_path != self._final_path)

    @property
    def _has_own_list(self) -> bool:
        return self.builder_config_name not in self.builder_configs

    def is_prepared(self) -> bool:
        """Returns whether the requested dataset exists, with all its shards.

        The config, the file format and the options of the last
        `download_and_prepare` determine which dataset is requested.
        """
        return is_prepared(self.data_path, self._file_format, self._ensure_requested)

    def as_data_source(self, split: Any = None, **kwargs: Any) -> Any:
        """Returns random access to the examples, also for processes that fork.

        Args:
          split: as for any TFDS builder; all splits by default.
          **kwargs: `decoders` and others, as for any TFDS builder.

        Returns:
          A sequence of examples for each split, in the structure of `split`.

        Raises:
          DatasetError: if the dataset has no format with random access.
        """
        open_source = super().as_data_source
        if is_replaced(tfds.core.DatasetBuilder.as_data_source):
            return open_source(split, **kwargs)

        def source_of(part: Any) -> Any:
            source = open_source(part, **kwargs)
            is_array_record = self.info.file_format is FileFormat.ARRAY_RECORD
            return readable_after_fork(source) if is_array_record else source

        splits = {name: name for name in self.info.splits} if split is None else split
        try:
            return tree.map_structure(source_of, splits)
        except NotImplementedError as error:
            raise DatasetError(
                self.data_path,
                "has no file format with random access",
                "Add one with download_and_prepare(file_format='array_record'), or "
                "read the dataset with as_dataset",
            ) from error

    def _ensure_requested(self, dataset: PreparedDataset) -> None:
        """Raises an error unless a dataset matches the config and the options."""
        config: SubsetConfig = self.builder_config
        ensure_requested(dataset, config, self._options, own_list=self._has_own_list)

    def _update_dataset_info(self) -> None:
        """Updates the description and citation of the existing dataset."""
        update_info(self.info, self.data_path, None)
        super()._update_dataset_info()
        update_info(self.info, self.data_path, self._file_format)

    def _build_data_dir(self, given_data_dir: str | None) -> tuple[str, str]:
        """Checks the existing dataset before TFDS reads it."""
        data_dir, folder = super()._build_data_dir(given_data_dir)
        ensure_supported_data_dir(data_dir)
        if is_dataset(epath.Path(folder)):
            open_dataset(epath.Path(folder))
        return data_dir, folder

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        """Accepts custom configs, for which TFDS would log warnings."""
        if isinstance(builder_config, SubsetConfig) and (
            builder_config.name not in self.builder_configs
        ):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    @tfds.core.utils.classproperty
    @classmethod
    def _checksums_path(cls) -> epath.Path:
        """Returns the path in the package, or at the top of a checkout."""
        path = _PACKAGE / CHECKSUMS_FILENAME
        return path if path.exists() else _PACKAGE.parent / CHECKSUMS_FILENAME

    def _log_download_bytes(self) -> None:
        """Prints nothing: TFDS does not know the sizes yet."""

    def _log_download_done(self) -> None:
        """Prints nothing: the dataset is not in its final place yet."""


register(Builder)
