"""PyTorch and JAX users never import TensorFlow into their process."""

import io
import sys

import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.builds.conftest import run_program
from tests.shared import archives

_CMYK, _PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"

_BUILD_AND_READ = """
builder = build(file_format="array_record")
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
unwanted = {"tensorflow", "keras", "apache_beam", "obstore", "boto3"}
imported = unwanted & set(sys.modules)
assert not imported, imported
"""


@pytest.mark.skipif(sys.platform != "linux", reason="TFDS reads ArrayRecord on Linux")
def test_array_record_needs_no_tensorflow(small_data, tmp_path, monkeypatch):
    pixels = Image.open(io.BytesIO(archives.jpeg(1)))
    cmyk = archives.encode(pixels.convert("CMYK"))
    png = archives.encode(pixels, "PNG")
    small_data.training["n02447366"] = [(_CMYK, cmyk)]
    small_data.training["n02105855"] = [(_PNG, png)]
    small_data.write()
    small_data.subset_list.write_text("\n".join([*small_data.listed, _CMYK, _PNG]))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    stdout, _ = run_program(_BUILD_AND_READ, small_data, tmp_path / "data")
    stored = dict(line.split() for line in stdout.splitlines() if line.count(" ") == 1)
    assert bytes.fromhex(stored[_CMYK]) == tfds.core.utils.jpeg_cmyk_to_rgb(cmyk)
    assert bytes.fromhex(stored[_PNG]) == tfds.core.utils.png_to_jpeg(png)
    assert not list(temporary.iterdir())
