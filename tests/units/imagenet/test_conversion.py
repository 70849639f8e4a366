"""The process that converts images, and what happens when it ends."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import time

import pytest

from imagenet2012_subset.imagenet import conversion
from imagenet2012_subset.imagenet.conversion import ConversionError, convert
from tests.shared import archives

PHOTO = archives.jpeg(3)


def cmyk_to_rgb_jpeg(image: bytes) -> bytes:
    return convert("jpeg_cmyk_to_rgb", image)


@pytest.fixture
def idle_converter(monkeypatch):
    converter = conversion._Converter()
    monkeypatch.setattr(conversion, "_converter", converter)
    yield converter
    converter.close()


def test_one_process_serves_several_images_and_threads(idle_converter):
    expected = cmyk_to_rgb_jpeg(PHOTO)
    process = idle_converter._process
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [*pool.map(cmyk_to_rgb_jpeg, [PHOTO] * 4)] == [expected] * 4
    assert idle_converter._process is process


def test_continues_after_an_image_that_cannot_be_converted(idle_converter):
    with pytest.raises(ConversionError):
        cmyk_to_rgb_jpeg(b"no image")
    assert cmyk_to_rgb_jpeg(PHOTO).startswith(b"\xff\xd8\xff")


def test_ends_when_idle_and_starts_again(idle_converter, monkeypatch):
    monkeypatch.setattr(conversion, "_IDLE_SECONDS", 0.1)
    expected = cmyk_to_rgb_jpeg(PHOTO)
    deadline = time.monotonic() + 300
    while idle_converter._process is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert idle_converter._process is None
    assert cmyk_to_rgb_jpeg(PHOTO) == expected


def test_a_killed_process_is_an_error_once(idle_converter):
    expected = cmyk_to_rgb_jpeg(PHOTO)
    idle_converter._process.kill()
    with pytest.raises(RuntimeError, match="ended with status -9"):
        cmyk_to_rgb_jpeg(PHOTO)
    assert cmyk_to_rgb_jpeg(PHOTO) == expected


def test_a_forked_child_starts_its_own_process(idle_converter):
    expected = cmyk_to_rgb_jpeg(PHOTO)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        result = pool.apply_async(cmyk_to_rgb_jpeg, [PHOTO])
        assert result.get(timeout=300) == expected
    assert cmyk_to_rgb_jpeg(PHOTO) == expected


def test_an_unusable_interpreter_is_reported_with_its_output(
    idle_converter, monkeypatch, tmp_path
):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no such library')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="no such library"):
        cmyk_to_rgb_jpeg(PHOTO)
