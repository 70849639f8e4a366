"""The dataset: where it comes from, what it looks like, how its examples are made."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.choose.config import SubsetConfig
from imagenet2012_subset.choose.select import select_training, select_validation
from imagenet2012_subset.choose.subset_list import (
    fetch_subset_list,
    fingerprint,
    read_subset_list,
)
from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.find.images import Images
from imagenet2012_subset.find.kept_index import folder_in
from imagenet2012_subset.find.manual_dir import (
    Sources,
    find_sources,
    manual_dir_of,
)
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.plan.records import RecordSerializer
from imagenet2012_subset.plan.splits import SplitPlan, plan_split, summary
from imagenet2012_subset.read.data_source import readable_after_fork
from imagenet2012_subset.registration import register
from imagenet2012_subset.tfds_internals import CHECKSUMS_FILENAME, FileFormat, tree
from imagenet2012_subset.version import __version__
from imagenet2012_subset.write.replace import take_final_place
from imagenet2012_subset.write.shard import ShardWriter
from imagenet2012_subset.write.splits import write_splits
from imagenet2012_subset.write.workers import num_workers

_SIMCLR_LISTS = (
    "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"
)
_FINGERPRINT = "training_names_sha256"
_PACKAGE = epath.Path(__file__).parent


class Builder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
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
          ValueError: if `workers` is not positive.
        """
        self._workers = num_workers(workers)
        super().__init__(**kwargs)

    @tfds.core.utils.classproperty
    @classmethod
    def _checksums_path(cls) -> epath.Path:
        """The file in the package, or in a checkout the one at the top."""
        in_package = _PACKAGE / CHECKSUMS_FILENAME
        return (
            in_package if in_package.exists() else _PACKAGE.parent / CHECKSUMS_FILENAME
        )

    def is_prepared(self) -> bool:
        """Whether the dataset is there."""
        # Of a folder that is yet to be made TFDS warns that it lacks a file.
        return self.data_path.exists() and super().is_prepared()

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Builds the dataset, unless it is there already.

        A build ends with the whole dataset in its final place and on the disk, or
        leaves that place as it was: also the dataset that was to be overwritten is put
        back.

        Args:
          download_config: `manual_dir` and options, as for any TFDS builder.
          **kwargs: `download_dir` and the like, as for any TFDS builder.

        Raises:
          ManualDirError: if the archives are not where they should be.
          ArchiveError: if one is damaged, incomplete or not what its name says.
          SubsetListError: if the subset list cannot be had, or cannot be right.
          WriteError: if the dataset cannot be written, or space is short.
        """
        config = download_config or tfds.download.DownloadConfig()
        overwrite = config.download_mode.overwrite_dataset
        prepare = functools.partial(
            super().download_and_prepare, download_config=config, **kwargs
        )
        if self.data_path.exists() and not overwrite:
            self._check_built_from(self.builder_config)
            prepare()
        elif not take_final_place(self.data_path, prepare, overwrite=overwrite):
            self.info.read_from_directory(self.data_path)

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

    def _check_built_from(self, config: SubsetConfig) -> None:
        """Raises an error if the dataset of this name was built from another list."""
        built_from = dict(self.info.metadata or {}).get(_FINGERPRINT)
        if not self._has_own_list or config.is_remote or built_from is None:
            return
        if fingerprint(read_subset_list(config.subset_list)) != built_from:
            raise SubsetListError(
                config.subset_list,
                f"is not the list that {self.data_path} was built from",
                "Give the SubsetConfig another name, or overwrite the dataset",
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

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        chosen = self._choose(self._find(dl_manager), dl_manager)
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
        if download_config.beam_runner or download_config.beam_options:
            warnings.warn(
                "beam_runner and beam_options have no effect on imagenet2012_subset: "
                "it writes its shards itself, in threads",
                stacklevel=2,
            )
        found = self._find(dl_manager)
        chosen = self._choose(found, dl_manager, download_config.ignore_duplicates)
        planned = self._plan(chosen, download_config)
        print(f"To write: {summary(planned)}")
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
            manual_dir_of(dl_manager), index_folder=folder_in(dl_manager.download_dir)
        )

    def _choose(
        self,
        found: Sources,
        dl_manager: tfds.download.DownloadManager,
        ignore_duplicates: bool = False,
    ) -> dict[str, Images]:
        """Returns the images of each split, in source order."""
        config: SubsetConfig = self.builder_config
        listed = fetch_subset_list(config, dl_manager, self.url_infos)
        if self._has_own_list:
            self.info.metadata[_FINGERPRINT] = fingerprint(listed)
        return {
            "train": select_training(
                found.training, listed, ignore_duplicates=ignore_duplicates
            ),
            "validation": select_validation(
                found.validation,
                config.validation_images,
                ignore_duplicates=ignore_duplicates,
            ),
        }

    def _plan(
        self,
        chosen: dict[str, Images],
        download_config: tfds.download.DownloadConfig,
    ) -> list[SplitPlan]:
        return [
            plan_split(
                split,
                images.source.origin,
                images.entries,
                images.stored_sizes(),
                download_config.get_shard_config(),
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
