"""What the README claims in its comparison with TFDS's builder, besides speed."""

import pytest

from imagenet2012_subset import ArchiveError
from tests.conftest import read_split
from tests.shared import tfds_builder


def test_a_missing_validation_image(build, small_data, tmp_path):
    right = {name: wnid for name, _, wnid in read_split(build(), "validation")}
    missing, _ = small_data.validation.pop(1)
    small_data.write()
    theirs = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    labels = {name: wnid for name, _, wnid in read_split(theirs, "validation")}
    assert labels.keys() == right.keys() - {missing}
    assert all(labels[name] != right[name] for name in labels)
    with pytest.raises(ArchiveError, match=missing):
        build(data_dir=tmp_path / "ours")
