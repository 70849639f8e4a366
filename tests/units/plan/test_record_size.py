"""The length of a record, computed from the wire format, is that of TFDS's record."""

import pytest
import tensorflow_datasets as tfds
from hypothesis import example, given, strategies as st
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from imagenet2012_subset.imagenet import names
from imagenet2012_subset.plan.shards import RecordSerializer, record_size
from tests.shared.tfds_builder import features_of_the_dataset

# Where a length takes one more byte, at each level of the record.
EDGES = [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21]
near_edges = st.builds(
    lambda edge, below: max(0, edge - below), st.sampled_from(EDGES), st.integers(0, 40)
)
file_names = st.text(st.characters(max_codepoint=127), max_size=150) | st.just(
    "ILSVRC2012_val_00000001.JPEG"
)
labels = st.integers(0, 999) | st.sampled_from([0, 127, 128, 999])


@pytest.fixture(scope="module")
def features() -> tfds.features.FeaturesDict:
    return features_of_the_dataset()


@pytest.fixture(scope="module")
def serializer(features) -> RecordSerializer:
    return RecordSerializer(features)


def _example(name: str, label: int, image: bytes) -> dict[str, object]:
    return {"file_name": name, "image": image, "label": names.wnids()[label]}


@example(name="", label=0, size=0)
@given(file_names, labels, st.integers(0, 300_000) | near_edges)
def test_the_length_follows_from_name_label_and_size(serializer, name, label, size):
    record = serializer.serialize(_example(name, label, bytes(size)))
    assert record_size(name, label, size) == len(record)


@pytest.mark.parametrize("edge", EDGES[1:])
@pytest.mark.parametrize("label", [0, 127, 128, 999])
def test_the_length_is_right_on_both_sides_of_each_step(serializer, edge, label):
    # The levels around the image add a few bytes each, so some step lies below.
    for size in range(max(0, edge - 60), edge + 2, 1 if edge < 2**20 else 7):
        record = serializer.serialize(_example("n01440764_1.JPEG", label, bytes(size)))
        assert record_size("n01440764_1.JPEG", label, size) == len(record), size


@given(file_names, labels, st.binary(max_size=300))
def test_records_are_those_of_the_serializer_of_tfds(
    features, serializer, name, label, image
):
    example = _example(name, label, image)
    theirs = ExampleSerializer(features.get_serialized_info()).get_tf_example(
        features.encode_example(example)
    )
    assert serializer.serialize(example) == theirs.SerializeToString(deterministic=True)


def test_other_features_are_refused():
    features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
    with pytest.raises(ValueError, match="not \\['image'\\]"):
        RecordSerializer(features)
