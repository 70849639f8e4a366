"""The dataset: where it comes from, what it looks like, how its examples are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
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
from imagenet2012_subset.subset_list import read_subset_list
from imagenet2012_subset.tfds_internals import CHECKSUMS_FILENAME
from imagenet2012_subset.workers import num_workers
from imagenet2012_subset.write import SplitOutput, write_splits

_SIMCLR_LISTS = (
    "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"
)
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
        listed = _read_listed(config, dl_manager)
        archives = locate_archives(files, dl_manager.download_dir / self.name)
        return {
            "train": selection.select_training(
                *archives.training, listed, ignore_duplicates=ignore_duplicates
            ),
            "validation": selection.select_validation(
                *archives.validation,
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


def _read_listed(
    config: SubsetConfig, dl_manager: tfds.download.DownloadManager
) -> list[str]:
    if config.is_remote:
        path = dl_manager.download(config.subset_list)
    else:
        path = epath.Path(config.subset_list)
    listed = read_subset_list(path)
    if config.training_images not in (None, len(listed)):
        raise SubsetListError(
            path,
            f"has {len(listed):,} names, but config {config.name!r} has "
            f"{config.training_images:,}",
            "Use the list of that config, or a SubsetConfig of your own",
        )
    return listed


register(Builder)
