"""PyTorch and JAX users never import TensorFlow into their process."""

import io
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.shared import archives

_CMYK, _PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"

_BUILD_AND_READ = """
import sys
import tensorflow_datasets as tfds
import imagenet2012_subset

manual_dir, subset_list, data_dir = sys.argv[1:]
builder = imagenet2012_subset.Builder(
    config=imagenet2012_subset.SubsetConfig(
        name="small", subset_list=subset_list, validation_images=5
    ),
    data_dir=data_dir,
    file_format="array_record",
)
builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
)
assert len(list(builder.as_data_source("validation"))) == 5
train = tfds.data_source(
    "imagenet2012_subset",
    split="train",
    data_dir=data_dir,
    builder_kwargs={"config": builder.builder_config},
)
source = builder.as_data_source(
    "train", decoders={"image": tfds.decode.SkipDecoding()}
)
assert [one["label"] for one in train] == [one["label"] for one in source]
for one in source:
    print(one["file_name"].decode(), one["image"].hex())
imported = {"tensorflow", "keras"} & set(sys.modules)
assert not imported, imported
"""


@pytest.mark.skipif(sys.platform != "linux", reason="TFDS reads ArrayRecord on Linux")
def test_array_record_is_built_and_read_without_tensorflow(small_data, tmp_path):
    pixels = Image.open(io.BytesIO(archives.jpeg(1)))
    cmyk = archives.encode(pixels.convert("CMYK"))
    png = archives.encode(pixels, "PNG")
    small_data.training["n02447366"] = [(_CMYK, cmyk)]
    small_data.training["n02105855"] = [(_PNG, png)]
    small_data.write()
    small_data.subset_list.write_text("\n".join([*small_data.listed, _CMYK, _PNG]))
    top = str(pathlib.Path(__file__).parents[2])
    data_dir, temporary = tmp_path / "data", tmp_path / "temporary"
    temporary.mkdir()
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            _BUILD_AND_READ,
            small_data.manual_dir,
            small_data.subset_list,
            data_dir,
        ],
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "PYTHONPATH": os.pathsep.join([top, os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    lines = child.stdout.splitlines()
    stored = dict(line.split() for line in lines if line.count(" ") == 1)
    assert bytes.fromhex(stored[_CMYK]) == tfds.core.utils.jpeg_cmyk_to_rgb(cmyk)
    assert bytes.fromhex(stored[_PNG]) == tfds.core.utils.png_to_jpeg(png)
    assert not list(temporary.iterdir())
