"""What msgspec finds wrong with a configuration, as a person would say it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<key>[^`]*)`$")


def explained(
    message: str, raw: dict[str, Any], known_keys: Callable[[str, dict[str, Any]], Iterable[str]]
) -> str:
    """Msgspec's message with the key in front, and the nearest known key for a typo."""
    match = _MESSAGE.match(message)
    what, where = (match["what"], match["where"] or "") if match else (message, "")
    if unknown := _UNKNOWN.match(what):
        key = unknown["key"]
        close = difflib.get_close_matches(key, known_keys(where, raw), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        section = f"[{where}]" if where else "the file"
        return f"unknown key '{key}' in {section}{hint}"
    return f"{where or 'the file'}: {what[:1].lower()}{what[1:]}"
