"""Output that cannot be written, or not be encoded, does not end a build."""

import io
import pathlib
import subprocess
import sys

import pytest

from imagenet2012_subset.output import progress_bar, say


def test_a_line_is_printed(capsys):
    say("a line of 画像")
    assert capsys.readouterr().out == "a line of 画像\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_cannot_be_encoded_is_escaped(monkeypatch, encoding):
    stored = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stored, encoding=encoding))
    say("/data/画像")
    assert stored.getvalue().decode(encoding).splitlines() == [r"/data/\u753b\u50cf"]


def test_no_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    say("nobody reads it")


@pytest.mark.skipif(
    not pathlib.Path("/dev/full").exists(), reason="this platform has no /dev/full"
)
def test_a_full_disk():
    script = "from imagenet2012_subset.output import say; say('a'); say('b')"
    with open("/dev/full", "w") as full:
        subprocess.run([sys.executable, "-c", script], stdout=full, check=True)


def test_a_progress_bar_on_a_stream_that_fails(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    import tensorflow_datasets as tfds

    monkeypatch.setattr(sys, "stderr", Full())
    tfds.enable_progress_bar()
    try:
        with progress_bar(total=3, desc="画像", mininterval=0) as bar:
            for _ in range(3):
                bar.update()
    finally:
        tfds.disable_progress_bar()
    assert bar.n == 3
