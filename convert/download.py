"""Pretrained weights from where their authors publish them, pinned by digest, kept in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

from convert.torch_weights import WeightsError
from edge.progress import bar

TIMEOUT_S = 30.0
BLOCK_BYTES = 65_536


def file_sha256(path: Path) -> str:
    """Digest of a file.

    Raises:
        WeightsError: it can't be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror})") from None


def fetch(url: str, sha256: str) -> Path:
    """The cached file, downloaded first if need be.

    Raises:
        WeightsError: no network, an error of the server, or another digest than the pinned one.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earpatch"
    target = cache / url.rsplit("/", 1)[-1]
    if target.is_file() and file_sha256(target) == sha256:
        return target
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _download(url, partial)
        found = file_sha256(partial)
        if found != sha256:
            raise WeightsError(
                f"{url}: not the weights that are pinned (expected sha256 {sha256[:12]}..., found "
                f"{found[:12]}...). Get them from their authors and pass --weights FILE"
            )
        partial.replace(target)
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", None) or error) or type(error).__name__
        raise WeightsError(
            f"{url}: could not be downloaded ({reason.splitlines()[0]}). "
            "Without a network, pass --weights FILE"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return target


def _download(url: str, target: Path) -> None:
    request = urllib.request.Request(url)  # noqa: S310  (the URLs are constants of this package)
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT_S) as response,  # noqa: S310
        target.open("wb") as file,
        bar(
            "Downloading weights", _length(response.headers.get("Content-Length")), "B"
        ) as progress,
    ):
        while block := response.read(BLOCK_BYTES):
            file.write(block)
            progress.update(len(block))


def _length(header: str | None) -> float:
    """For the progress bar only: a server may say nothing, or nonsense."""
    return float(header) if header is not None and header.isdecimal() else 0.0
