"""A wheel, alone or by way of an sdist, has all that the builder needs."""

import os
import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from tests.conftest import DUMMY_DATA

_TOP = pathlib.Path(__file__).parents[2]
_CHECK = """
import sys, tensorflow_datasets as tfds, imagenet2012_subset
from imagenet2012_subset import Builder, SubsetConfig
assert imagenet2012_subset.__file__.startswith(sys.prefix), imagenet2012_subset.__file__
assert len(Builder.url_infos) == 2
assert "SimCLR" in Builder(data_dir=sys.argv[2]).info.description
assert Builder.get_metadata().tags
assert imagenet2012_subset.class_name("n03590841") == "jack-o'-lantern"
builder = tfds.builder("imagenet2012_subset", data_dir=sys.argv[2], config=SubsetConfig(
    name="dummy", subset_list=sys.argv[1] + "/1percent.txt", validation_images=10))
builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=sys.argv[1]))
assert builder.info.splits.total_num_examples == 34
"""


def _build(target: pathlib.Path, *options: str) -> pathlib.Path:
    """Builds a wheel, by default by way of an sdist."""
    command = [sys.executable, "-m", "build", *options, "--outdir", target, _TOP]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr + done.stdout:
        pytest.skip("the build backend cannot be fetched without internet")
    assert not done.returncode, done.stderr + done.stdout
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    return {
        "checkout": _build(folder / "from_checkout", "--wheel"),
        "sdist": _build(folder / "by_way_of_an_sdist"),
    }


def test_wheel_works_in_an_environment_of_its_own(wheels, tmp_path):
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheels["sdist"]).extractall(site_packages)
    # The dependencies come from this environment, after the wheel's own files.
    dependencies = sysconfig.get_path("purelib")
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
    command = [folder / "bin" / "python", "-c", _CHECK, DUMMY_DATA, tmp_path / "data"]
    # What a developer has on the path must not stand in for the wheel.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)


def test_wheels_are_the_same(wheels):
    contents = [
        {name: archive.read(name) for name in archive.namelist()}
        for archive in map(zipfile.ZipFile, wheels.values())
    ]
    assert contents[0] == contents[1]
    assert "imagenet2012_subset/checksums.tsv" in contents[0]
    assert "imagenet2012_subset/py.typed" in contents[0]
    assert "imagenet2012_subset/imagenet/WORDNET_LICENSE.txt" in contents[0]
    assert "imagenet2012_subset/page/templates/page.html" in contents[0]
    (entry_points,) = (
        text for name, text in contents[0].items() if name.endswith("entry_points.txt")
    )
    assert b"imagenet2012-subset = imagenet2012_subset.__main__:main" in entry_points
