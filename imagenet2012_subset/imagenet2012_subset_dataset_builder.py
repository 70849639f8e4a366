"""The dataset: where it comes from, what it looks like, how its examples are made."""

from __future__ import annotations

import contextlib
import errno
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from absl import logging
from etils import epath

from imagenet2012_subset import selection, synsets
from imagenet2012_subset.archives import locate_archives, open_archives
from imagenet2012_subset.config import SubsetConfig
from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.images import Images
from imagenet2012_subset.manual_dir import find_manual_dir
from imagenet2012_subset.plan import plan_split
from imagenet2012_subset.records import RecordSerializer
from imagenet2012_subset.registration import register
from imagenet2012_subset.subset_list import (
    fetch_subset_list,
    fingerprint,
    read_subset_list,
)
from imagenet2012_subset.sync import sync_folder
from imagenet2012_subset.takeover import kept_until_replaced, report_leftovers
from imagenet2012_subset.tfds_internals import CHECKSUMS_FILENAME
from imagenet2012_subset.workers import num_workers
from imagenet2012_subset.write import SplitOutput, unwritable, write_splits

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
        is_new = overwrite or not self.data_path.exists()
        if is_new:
            report_leftovers(self.data_path)
        elif self._has_own_list:
            self._check_built_from(self.builder_config)
        keeping = kept_until_replaced if overwrite else contextlib.nullcontext
        try:
            with keeping(self.data_path):
                super().download_and_prepare(download_config=config, **kwargs)
                if is_new:
                    self._sync()
        except OSError as error:
            taken = isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY
            if taken and self.is_prepared():
                logging.warning("Another build of %s was first", self.data_path)
                self.info.read_from_directory(self.data_path)
            elif error.errno in (errno.EACCES, errno.EROFS, errno.ENOSPC):
                raise unwritable(self.data_path, str(error)) from error
            else:
                raise

    def _sync(self) -> None:
        try:
            sync_folder(self.data_path)
        except OSError as error:
            self.data_path.rmtree()
            raise unwritable(self.data_path, str(error)) from error

    @property
    def _has_own_list(self) -> bool:
        return self.builder_config_name not in self.builder_configs

    def _check_built_from(self, config: SubsetConfig) -> None:
        """Raises an error if the dataset of this name was built from another list."""
        built_from = dict(self.info.metadata or {}).get(_FINGERPRINT)
        if config.is_remote or built_from is None:
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
                    "label": tfds.features.ClassLabel(names_file=synsets.names_file()),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict() if self._has_own_list else None,
            homepage="http://image-net.org/",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        selected = self._select(dl_manager)
        return {split: self._generate_examples(selected[split]) for split in selected}

    def _select(
        self,
        dl_manager: tfds.download.DownloadManager,
        *,
        ignore_duplicates: bool = False,
    ) -> dict[str, Images]:
        """Returns the images of each split, in archive order."""
        config: SubsetConfig = self.builder_config
        # What takes no time to find out comes first.
        files = open_archives(find_manual_dir(dl_manager))
        listed = fetch_subset_list(config, dl_manager)
        if self._has_own_list:
            self.info.metadata[_FINGERPRINT] = fingerprint(listed)
        training, validation = locate_archives(
            files, dl_manager.download_dir / self.name
        )
        return {
            "train": selection.select_training(
                *training, listed, ignore_duplicates=ignore_duplicates
            ),
            "validation": selection.select_validation(
                *validation,
                config.validation_images,
                ignore_duplicates=ignore_duplicates,
            ),
        }

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
        """Plans and writes the shards, in place of TFDS's shuffle through buckets."""
        if download_config.beam_runner or download_config.beam_options:
            warnings.warn(
                "beam_runner and beam_options have no effect on imagenet2012_subset: "
                "it writes its shards itself, in threads",
                stacklevel=2,
            )
        selected = self._select(
            dl_manager, ignore_duplicates=download_config.ignore_duplicates
        )
        splits = []
        for name, images in selected.items():
            plan = plan_split(
                name,
                images,
                download_config.get_shard_config(),
                max_examples=download_config.max_examples_per_split,
                # TFDS came to know the option in 4.9.8.
                shuffle=not getattr(download_config, "nondeterministic_order", False),
            )
            template = self._get_filename_template(split_name=name)
            splits.append(SplitOutput(plan, template))
        write_splits(
            splits,
            generate_examples=self._generate_examples,
            serializer=RecordSerializer(self.info.features),
            example_writer=self._example_writer(),
            workers=self._workers,
        )
        return [
            tfds.core.SplitInfo(
                name=plan.name,
                shard_lengths=plan.shard_lengths,
                num_bytes=plan.num_bytes,
                filename_template=template,
            )
            for plan, template in splits
        ]


register(Builder)
