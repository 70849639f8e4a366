"""Lets TFDS give this package's builder where it would give its own."""

from __future__ import annotations

import tensorflow_datasets as tfds

from imagenet2012_subset.tfds_internals import registered


class _Provider(registered.DatasetBuilderProvider):
    """Answers TFDS's question who has the builder of a name."""

    def __init__(self, builder_cls: type[tfds.core.DatasetBuilder]):
        self.builder_cls = builder_cls

    def has_dataset(self, name: str) -> bool:
        return bool(name == self.builder_cls.name)

    def get_builder_cls(self, name: str) -> type[tfds.core.DatasetBuilder]:
        del name
        return self.builder_cls


def register(builder_cls: type[tfds.core.DatasetBuilder]) -> None:
    """Makes `tfds.load` and `tfds.builder` use `builder_cls` for its name.

    TFDS ships a builder of the same name. As providers are asked in turn and this one
    comes first, it does not matter whether TFDS has loaded its own already, nor whether
    it does so later. Registering again replaces the earlier class.
    """
    module = builder_cls.__module__
    # A reload defines the class anew, and TFDS expects one builder a module.
    registered._MODULE_TO_DATASETS[module] = [builder_cls]
    for provider in registered._DATASET_PROVIDER_REGISTRY:
        # By name, since a reload of this module defines `_Provider` anew.
        if type(provider).__module__ == __name__:
            provider.builder_cls = builder_cls
            return
    registered.add_dataset_builder_provider(_Provider(builder_cls), index=0)
