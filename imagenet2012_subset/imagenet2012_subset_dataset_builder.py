"""The dataset: where it comes from, what it looks like, how its examples are made."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.data_source.after_fork import readable_after_fork
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.plan.record_size import RecordSerializer
from imagenet2012_subset.plan.shards import SplitPlan, plan_split, summary
from imagenet2012_subset.registration import register
from imagenet2012_subset.sources.discovery import (
    Sources,
    find_sources,
    manual_dir_of,
)
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.index_cache import folder_in
from imagenet2012_subset.storage.paths import supported
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.subset.select import select_training, select_validation
from imagenet2012_subset.subset.subset_list import fetch_subset_list
from imagenet2012_subset.tfds_internals import CHECKSUMS_FILENAME, FileFormat, tree
from imagenet2012_subset.version import __version__
from imagenet2012_subset.write.asked import asked_for
from imagenet2012_subset.write.beam import write_splits_on_beam
from imagenet2012_subset.write.made_from import MadeFrom, metadata
from imagenet2012_subset.write.shard import ShardWriter
from imagenet2012_subset.write.splits import write_splits
from imagenet2012_subset.write.whole_dataset import WholeDatasetBuilder
from imagenet2012_subset.write.workers import num_workers

_SIMCLR_LISTS = (
    "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"
)
_PACKAGE = epath.Path(__file__).parent


class Builder(WholeDatasetBuilder, skip_registration=True):  # type: ignore[call-arg]
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
    manual_dir should contain two files: ILSVRC2012_img_train.tar and
    ILSVRC2012_img_val.tar. Both stay as they are, not extracted.
    Where they are extracted already, it may have the images instead: train/<wnid>/ and
    val/ (flat or val/<wnid>/), train/<wnid>.tar, or Kaggle's ILSVRC/Data/CLS-LOC/.
    You need to register on http://www.image-net.org/download-images to get
    the links.
    Without internet, put 1percent.txt or 10percent.txt there as well.
    """

    def __init__(self, *, workers: int | None = None, **kwargs: Any):
        """Makes a builder.

        Args:
          workers: how many shards to write at a time; by default what the environment
            variable IMAGENET2012_SUBSET_WORKERS says, else as many as the process may
            use CPUs.
          **kwargs: as for any `tfds.core.GeneratorBasedBuilder`: `data_dir`, `config`,
            `version`, `file_format`.

        Raises:
          ValueError: if `workers` is not positive, or TFDS has no such `file_format`.
        """
        self._workers = num_workers(workers)
        self._has_own_workers = workers is not None
        super().__init__(**kwargs)
        self._original_state["workers"] = workers  # TFDS pickles this state.

    @tfds.core.utils.classproperty
    @classmethod
    def _checksums_path(cls) -> epath.Path:
        """The file in the package, or in a checkout the one at the top."""
        in_package = _PACKAGE / CHECKSUMS_FILENAME
        return (
            in_package if in_package.exists() else _PACKAGE.parent / CHECKSUMS_FILENAME
        )

    def as_data_source(self, split: Any = None, **kwargs: Any) -> Any:
        """Gives random access to the examples, also from processes that fork.

        Args:
          split: as for any TFDS builder; all splits by default.
          **kwargs: `decoders` and the like, as for any TFDS builder.

        Returns:
          A sequence of examples for each split, in the structure of `split`.

        Raises:
          NotImplementedError: if the dataset is in no format of random access.
        """
        open_source = super().as_data_source

        def source_of(part: Any) -> Any:
            source = open_source(part, **kwargs)
            is_array_record = self.info.file_format is FileFormat.ARRAY_RECORD
            return readable_after_fork(source) if is_array_record else source

        splits = {name: name for name in self.info.splits} if split is None else split
        return tree.map_structure(source_of, splits)

    @property
    def _has_own_list(self) -> bool:
        return self.builder_config_name not in self.builder_configs

    def _asked_for(self, options: tfds.download.DownloadConfig) -> MadeFrom:
        return asked_for(
            self.builder_config, options, self.data_path, own_list=self._has_own_list
        )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
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

    def _make_download_manager(
        self,
        download_dir: epath.PathLike | None,
        download_config: tfds.download.DownloadConfig,
    ) -> tfds.download.DownloadManager:
        # A path that was made before this package was imported, as the command `tfds`
        # does, is not of the kind that opens `s3://`.
        if download_config.manual_dir is not None:
            download_config = dataclasses.replace(
                download_config, manual_dir=supported(download_config.manual_dir)
            )
        return super()._make_download_manager(
            download_dir=download_dir, download_config=download_config
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        options = tfds.download.DownloadConfig()
        chosen = self._choose(self._find(dl_manager), dl_manager, options)
        return {split: self._generate_examples(chosen[split]) for split in chosen}

    def _generate_examples(
        self, images: Images
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for image in images:
            yield (
                image.name,
                {
                    "file_name": image.name,
                    "image": image.data,
                    "label": image.wnid,
                },
            )

    def _generate_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> list[tfds.core.SplitInfo]:
        """Finds, chooses, plans and writes, in place of TFDS's shuffle on disk."""
        on_beam = bool(download_config.beam_runner or download_config.beam_options)
        if on_beam and self._has_own_workers:
            raise ValueError(
                "workers is for builds without Beam: the runner has an option of its "
                "own, such as direct_num_workers"
            )
        found = self._find(dl_manager)
        with (
            found.naming_alternatives(),
            tempfile.TemporaryDirectory(dir=self.data_path) as scratch,
        ):
            chosen = self._choose(found, dl_manager, download_config)
            staged = {
                split: images.staged(epath.Path(scratch))
                for split, images in chosen.items()
            }
            planned = self._plan(staged, download_config)
            print(f"To write: {summary(planned)}")
            if on_beam:
                write_splits_on_beam(
                    planned,
                    self._shard_writer(),
                    runner=download_config.beam_runner,
                    options=download_config.beam_options,
                )
            else:
                write_splits(planned, self._shard_writer(), workers=self._workers)
        return [
            tfds.core.SplitInfo(
                name=plan.name,
                shard_lengths=plan.shard_lengths,
                num_bytes=plan.num_bytes,
                filename_template=plan.template,
            )
            for plan in planned
        ]

    def _log_download_bytes(self) -> None:
        """Says whose builder this is; TFDS calls it when a build begins."""
        print(
            f"{self.name} {__version__}, in place of the builder that TFDS ships, "
            f"builds {self.info.full_name} in {self.data_dir}"
        )

    def _find(self, dl_manager: tfds.download.DownloadManager) -> Sources:
        return find_sources(
            manual_dir_of(dl_manager),
            index_folder=folder_in(dl_manager.download_dir),
            on_choice=print,
        )

    def _choose(
        self,
        found: Sources,
        dl_manager: tfds.download.DownloadManager,
        options: tfds.download.DownloadConfig,
    ) -> dict[str, Images]:
        """Returns the images of each split, in source order."""
        config: SubsetConfig = self.builder_config
        listed = fetch_subset_list(config, dl_manager, self.url_infos)
        if self._has_own_list:
            self.info.metadata.update(
                metadata(config, listed, options, f"{self.name} {__version__}")
            )
        return {
            "train": select_training(
                found.training, listed, ignore_duplicates=options.ignore_duplicates
            ),
            "validation": select_validation(
                found.validation,
                config.validation_images,
                ignore_duplicates=options.ignore_duplicates,
            ),
        }

    def _plan(
        self,
        chosen: dict[str, Images],
        download_config: tfds.download.DownloadConfig,
    ) -> list[SplitPlan]:
        shards = download_config.get_shard_config()
        return [
            plan_split(
                split,
                images.source,
                images.entries,
                images.stored_sizes(),
                dataclasses.replace(
                    shards, num_shards=self._shards_as.get(split, shards.num_shards)
                ),
                self._get_filename_template(split_name=split),
                max_examples=download_config.max_examples_per_split,
                # TFDS came to know the option in 4.9.8.
                shuffle=not getattr(download_config, "nondeterministic_order", False),
            )
            for split, images in chosen.items()
        ]

    def _shard_writer(self) -> ShardWriter:
        return ShardWriter(
            self._generate_examples,
            RecordSerializer(self.info.features),
            self._example_writer(),
        )


register(Builder)
