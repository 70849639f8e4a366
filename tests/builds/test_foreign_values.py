"""Unexpected values in the files of a dataset and in the names of folders."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.check.folder import check_folder
from tests.shared import faults, forms
from tests.shared.prepared import change_json

INFO, METADATA = "dataset_info.json", "metadata.json"


@pytest.fixture
def dataset(build) -> pathlib.Path:
    return pathlib.Path(build().data_path)


def _check(dataset: pathlib.Path) -> list[str]:
    report = check_folder(epath.Path(dataset))
    return [finding.message for finding in report.findings if not finding.ok]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", "1.0.0", "version"),
        ("fileFormat", "zip", "'zip' is not a valid FileFormat"),
        ("alternativeFileFormats", ["zip"], "'zip' is not a valid FileFormat"),
        ("splits", [{"shardLengths": ["3"]}], "non-empty string"),
    ],
)
def test_infos_that_tfds_cannot_use(build, dataset, key, value, message):
    change_json(dataset / INFO, **{key: value})
    before = faults.contents(dataset)
    with pytest.raises(WriteError) as refused:
        build()
    faults.assert_clear(refused.value)
    assert message in refused.value.problem
    assert str(dataset) in refused.value.path
    remedy = "Upgrade TFDS" if "zip" in message else f"move {dataset} away"
    assert remedy in refused.value.remedy
    assert faults.contents(dataset) == before
    assert _check(dataset)


@pytest.mark.parametrize("name", [INFO, METADATA])
def test_json_that_is_too_deep(build, dataset, name):
    (dataset / name).write_text("[" * 100_000)
    with pytest.raises(WriteError, match="cannot be read") as refused:
        build()
    assert refused.value.path == str(dataset / name)
    (message,) = _check(dataset)
    assert "damaged" in message


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 3, None])
def test_values_of_another_type(build, dataset, value):
    change_json(dataset / METADATA, subset_list_url=value)
    build()  # The list is a file, so its URL is not needed.
    assert not _check(dataset)
    change_json(dataset / METADATA, training_names_sha256=value)
    with pytest.raises(WriteError, match="does not record which subset list"):
        build()
    assert any("does not record which images" in message for message in _check(dataset))
    change_json(dataset / INFO, configName=value)
    assert _check(dataset)


@pytest.mark.parametrize("number", [50_001, 10**13])
def test_more_validation_images_than_there_are(dataset, number):
    change_json(dataset / METADATA, validation_images=number)
    assert any("49,995 images missing" in message for message in _check(dataset))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_folder_whose_name_is_not_text(rule, small_data, split):
    shutil.rmtree(small_data.manual_dir)
    forms.training_tree("train")(small_data, small_data.manual_dir)
    forms.validation_sorted("val")(small_data, small_data.manual_dir)
    folder = os.path.join(os.fsencode(small_data.manual_dir), split.encode(), b"\xff")
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes no such names")
    rule.builds()
    (small_data.manual_dir / "train" / "n01443537" / "n01443537_7.JPEG").unlink()
    rule.refuses("n01443537_7.JPEG")
