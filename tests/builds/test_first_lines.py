"""What a user reads first: who builds, and how much; nothing that reads as a fault."""

import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import Builder, SubsetConfig


def test_the_first_lines_of_a_build(build, small_data, capsys, caplog):
    builder = build()
    printed = capsys.readouterr().out.splitlines()
    version = imagenet2012_subset.__version__
    assert printed[0].startswith(f"imagenet2012_subset {version}, in place of")
    assert "imagenet2012_subset/small/5.0.0" in printed[0]
    assert str(builder.data_dir) in printed[0]
    assert printed[1].startswith("Takes training images from ")
    assert printed[2] == (
        f"To write: {builder.info.dataset_size} "
        "(train: 6 images in 1 shard; validation: 5 images in 1 shard)"
    )
    assert not [line for line in printed if "Unknown size" in line]
    assert printed[3].startswith("Built. Load it with tfds.load(")
    assert len(printed) == 4
    assert not caplog.text


def test_nothing_is_said_where_nothing_is_built(build, capsys):
    build()
    capsys.readouterr()
    build()
    assert not capsys.readouterr().out


def test_whether_it_is_there_is_asked_without_a_warning(build, tmp_path, caplog):
    builder = Builder(config="1pct", data_dir=tmp_path / "data")
    assert not builder.is_prepared()
    assert "has no dataset_info.json" not in caplog.text
    assert build().is_prepared()


def test_load_says_nothing_that_reads_as_a_fault(small_data, tmp_path, caplog, capsys):
    config = SubsetConfig(
        name="small", subset_list=str(small_data.subset_list), validation_images=5
    )
    tfds.load(
        "imagenet2012_subset",
        builder_kwargs={"config": config},
        data_dir=tmp_path / "data",
        download_and_prepare_kwargs={
            "download_config": tfds.download.DownloadConfig(
                manual_dir=small_data.manual_dir
            )
        },
    )
    said = caplog.text + capsys.readouterr().out
    for fault in ("Variant folder", "Unknown size", "custom data configuration"):
        assert fault not in said
