"""A subset list behind a URL: downloaded, or said why not."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from imagenet2012_subset import SubsetListError
from tests.shared import faults


@contextlib.contextmanager
def _server(status: int, content: bytes) -> Iterator[str]:
    """Gives the URL of a list that a server answers with this status and content."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/list.txt"
        finally:
            server.shutdown()


@contextlib.contextmanager
def _nobody() -> Iterator[str]:
    """Gives the URL of a list where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/list.txt"


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


def test_a_list_from_the_web_is_as_good_as_a_local_one(rule, small_data):
    with _server(200, small_data.subset_list.read_bytes()) as url:
        rule.builds(subset_list=url)


def test_without_internet_it_says_what_to_do(rule, monkeypatch):
    # TFDS tries again and again, and waits longer each time.
    monkeypatch.setattr("tensorflow_datasets.core.download.downloader.MAX_RETRIES", 1)
    with _nobody() as url:
        error = rule.refuses(
            url, "cannot be downloaded", "put the file into manual_dir", subset_list=url
        )
    assert isinstance(error, SubsetListError)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_list_that_the_server_does_not_have(rule, small_data, status):
    with _server(status, small_data.subset_list.read_bytes()) as url:
        error = rule.refuses(
            f"{url}: cannot be downloaded", str(status), subset_list=url
        )
    assert isinstance(error, SubsetListError)


def test_a_web_page_in_place_of_a_list(rule):
    with _server(200, b"<!DOCTYPE html><html>Log in</html>") as url:
        rule.refuses(
            "line 1 ('<!DOCTYPE html>", "is not a training image", subset_list=url
        )
