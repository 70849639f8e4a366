"""Subset lists behind a URL."""

import http.server
import threading
import time

import pytest
import requests

from imagenet2012_subset import SubsetListError
from imagenet2012_subset.subset.subset_list import download_list


@pytest.fixture
def serve():
    """Serves bytes, and promises `promised` of them; returns the URL."""
    servers = []

    def start(data: bytes, promised: int | None = None, status: int = 200) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(promised or len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/subset.txt"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_is_downloaded_once(build, small_data, serve, tmp_path, monkeypatch):
    url = serve(small_data.subset_list.read_bytes())
    assert download_list(url) == small_data.subset_list.read_bytes()
    downloads = tmp_path / "downloads"
    build(subset_list=url, download_dir=downloads)

    def no_internet(*args, **kwargs):
        raise OSError("no internet")

    monkeypatch.setattr(requests, "get", no_internet)
    build(subset_list=url, download_dir=downloads, data_dir=tmp_path / "other")
    with pytest.raises(SubsetListError, match="no internet"):
        build(subset_list=url, data_dir=tmp_path / "third")


@pytest.mark.parametrize("url_kind", ["cut off", "missing", "nobody answers"])
def test_failed_download_is_an_error_within_seconds(build, small_data, serve, url_kind):
    data = small_data.subset_list.read_bytes()
    url = {
        "cut off": lambda: serve(data[:-30], promised=len(data)),
        "missing": lambda: serve(b"not found", status=404),
        "nobody answers": lambda: "http://127.0.0.1:9/subset.txt",
    }[url_kind]()
    begin = time.monotonic()
    with pytest.raises(SubsetListError, match="cannot be downloaded"):
        build(subset_list=url)
    assert time.monotonic() - begin < 15
