"""What a user reads during a build: four calm lines, and no warning."""

import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import Builder


def test_the_lines_of_a_build(build, capsys, caplog):
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
    assert printed[3].startswith("Built. Load it with tfds.load(")
    assert len(printed) == 4
    assert not caplog.text
    build()
    assert not capsys.readouterr().out


def test_loading_logs_no_warning(small_builder, small_data, tmp_path, caplog, capsys):
    assert not Builder(config="1pct", data_dir=tmp_path / "data").is_prepared()
    config = tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    tfds.load(
        "imagenet2012_subset",
        builder_kwargs={"config": small_builder().builder_config},
        data_dir=tmp_path / "data",
        download_and_prepare_kwargs={"download_config": config},
    )
    output = caplog.text + capsys.readouterr().out
    for fault in (
        "has no dataset_info.json",
        "Variant folder",
        "Unknown size",
        "custom data configuration",
    ):
        assert fault not in output
