"""The child process that converts images."""

import io
import subprocess

import pytest
from PIL import Image

from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.imagenet.jpeg import ConversionError, to_rgb_jpeg
from tests.shared import archives

CMYK, PNG = "n02447366_23489.JPEG", "n02105855_2933.JPEG"
PHOTO = archives.encode(Image.open(io.BytesIO(archives.jpeg(3))), "PNG")


@pytest.fixture(autouse=True)
def starts(monkeypatch):
    """The child processes that were started, with no image converted before."""
    monkeypatch.setattr(jpeg, "_converted", {})
    found = []
    run = subprocess.run

    def counted(*arguments, **options):
        found.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    return found


def test_one_process_converts_several_images_once(starts):
    images = [(PNG, PHOTO), (CMYK, archives.jpeg(3)), (CMYK, b"no image")]
    jpeg.convert(images)
    for name, data in images[:2]:
        assert to_rgb_jpeg(name, data).startswith(b"\xff\xd8\xff")
    assert to_rgb_jpeg(*images[0]) != to_rgb_jpeg(*images[1])
    with pytest.raises(ConversionError):
        to_rgb_jpeg(*images[2])
    assert len(starts) == 1


def test_an_image_that_was_not_prepared_is_converted(starts):
    expected = to_rgb_jpeg(PNG, PHOTO)
    assert to_rgb_jpeg(PNG, bytes(bytearray(PHOTO))) == expected
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("raise ImportError('no such library')", "no such library"),
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
    ],
)
def test_a_process_that_fails_is_an_error(monkeypatch, tmp_path, program, problem):
    (tmp_path / "tensorflow.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=problem):
        to_rgb_jpeg(PNG, PHOTO)


def test_output_of_a_library_is_not_taken_for_a_result(monkeypatch, tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "print('a line of a library', flush=True)\n"
        "import sys\n"
        f"sys.path.remove({str(tmp_path)!r})\n"
        "del sys.modules['tensorflow']\n"
        "import tensorflow\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert to_rgb_jpeg(PNG, PHOTO).startswith(b"\xff\xd8\xff")
