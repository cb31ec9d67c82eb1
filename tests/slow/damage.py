"""The ways in which files get damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

TOKENS = [
    b"", b"\x00", b"\xff", b"\n", b"0", b"-1", b"1e999", b"nan", b"null", b"true", b'""', b"[]",
    b"{}", b"'", b'"', b"=", b"]", b"99999999999999999999", b"\xe2\x80\xa8", b"../../etc/passwd",
]  # fmt: skip


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Bytes that differ from `data` in one way that files get damaged."""
    at = int(random.integers(len(data)))
    kind = random.integers(6)
    if kind == 0:
        changed = bytearray(data)
        for place in random.integers(len(data), size=random.integers(1, 9)):
            changed[place] ^= 1 << int(random.integers(8))
        return bytes(changed)
    if kind == 1:
        return data[:at]
    if kind == 2:  # a power cut leaves a tail of zeros
        return data[:at] + bytes(len(data) - at)
    if kind == 3:
        return data[:at] + random.bytes(int(random.integers(1, 40))) + data[at:]
    if kind == 4:
        return data[:at] + data[at + int(random.integers(1, 40)) :]
    token = TOKENS[int(random.integers(len(TOKENS)))]
    return data[:at] + token + data[at + len(token) + 1 :]


def changes(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    made = 0
    while made < count:
        changed = damaged(data, random)
        if changed != data:
            made += 1
            yield changed


def tell(what: str, outcomes: Counter[str], of: str = "damaged files") -> None:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
    print(f"\n{what}: {sum(outcomes.values())} {of}: {counts}")
