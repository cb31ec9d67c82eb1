"""Downloading pretrained weights: pinned, cached, and one clear error for every way it fails."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from convert.download import fetch, file_sha256
from convert.torch_weights import WeightsError
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEIGHTS = bytes(range(256)) * 1_000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = f"Content-Length: {len(WEIGHTS)}\r\n".encode()
ONE_LINE = r"^[^\n]+$"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of our own, and no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "earpatch"


@contextmanager
def serve(answer: bytes) -> Iterator[str]:
    """A server on loopback that answers every request with these bytes and closes."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/weights.pt"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def test_a_download_is_kept_and_used_without_a_network_from_then_on(cache: Path) -> None:
    with serve(OK + LENGTH + b"\r\n" + WEIGHTS) as url:
        path = fetch(url, SHA256)
    assert path.read_bytes() == WEIGHTS
    assert path == cache / "weights.pt"
    assert fetch(url, SHA256) == path
    assert [entry.name for entry in cache.iterdir()] == ["weights.pt"]


def test_a_server_that_does_not_tell_the_length_serves_as_well() -> None:
    with serve(OK + b"\r\n" + WEIGHTS) as url:
        assert fetch(url, SHA256).read_bytes() == WEIGHTS


def test_a_damaged_file_in_the_cache_is_fetched_again(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "weights.pt").write_bytes(WEIGHTS[:-1])
    with serve(OK + LENGTH + b"\r\n" + WEIGHTS) as url:
        assert fetch(url, SHA256).read_bytes() == WEIGHTS


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FAILURES = {
    "other bytes": OK + LENGTH + b"\r\n" + WEIGHTS[::-1],
    "a login page": OK + b"\r\n<html>Please log in</html>",
    "truncated": OK + LENGTH + b"\r\n" + WEIGHTS[:-1],
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "server error": b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
    "endless redirect": b"HTTP/1.1 302 Found\r\nLocation: /v1/weights.pt\r\n\r\n",
    "truncated in a chunk": OK + CHUNKED + b"FFFF\r\n" + WEIGHTS[:1_000],
    "a chunk without a length": OK + CHUNKED + b"zzzz\r\n" + WEIGHTS[:1_000],
    "not HTTP": b"220 smtp.example ESMTP\r\n",
    "no answer at all": b"",
    "an absurd length": OK + b"Content-Length: many\r\n\r\n" + WEIGHTS[:-1],
}


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_whatever_a_server_gets_wrong_is_one_clear_line_and_leaves_nothing(
    cache: Path, name: str
) -> None:
    with serve(FAILURES[name]) as url, pytest.raises(WeightsError, match=ONE_LINE) as failure:
        fetch(url, SHA256)
    assert url in str(failure.value)
    assert "--weights FILE" in str(failure.value)
    assert list(cache.iterdir()) == []


def test_other_weights_than_the_pinned_ones_are_said_to_be_so() -> None:
    with (
        serve(FAILURES["other bytes"]) as url,
        pytest.raises(WeightsError, match="not the weights that are pinned"),
    ):
        fetch(url, SHA256)


def test_no_network_is_one_clear_line() -> None:
    url = f"http://127.0.0.1:{free_port()}/weights.pt"
    with pytest.raises(WeightsError, match=r"could not be downloaded .*--weights FILE"):
        fetch(url, SHA256)


def test_a_cache_that_can_not_be_written_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with serve(OK + b"\r\n" + WEIGHTS) as url, pytest.raises(WeightsError, match=ONE_LINE):
        fetch(url, SHA256)


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WEIGHTS)
    assert file_sha256(tmp_path / "a") == SHA256


def test_a_file_without_a_digest_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        file_sha256(tmp_path / "missing")
