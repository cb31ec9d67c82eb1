"""Reading a page as a browser would: its elements, its text, and the files inside it."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import soundfile

from tests.edge.pictures.pixels import pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMPTY = {"meta", "img", "br", "link", "input", "hr", "source"}
REFERENCES = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}


class Page(HTMLParser):
    """A parsed page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """The innermost element ends."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        if self._open and data.strip():
            self.words.setdefault(self._open[-1], []).append(data)

    @property
    def text(self) -> str:
        """All that a person reads."""
        return " ".join(word for tag, words in self.words.items() if tag != "style"
                        for word in words)  # fmt: skip

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def sounds(self) -> list[tuple[NDArray[np.float64], int, str]]:
        """Samples, rate and label of each snippet."""
        found = []
        for attributes in self.all("audio"):
            data = base64.b64decode(attributes["src"].removeprefix("data:audio/wav;base64,"))
            samples, rate_hz = soundfile.read(io.BytesIO(data))
            found.append((samples, rate_hz, attributes["aria-label"]))
        return found

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Pixels of each picture, [height, width, 3]."""
        pngs = (a["src"].removeprefix("data:image/png;base64,") for a in self.all("img"))
        return [pixels(base64.b64decode(png)) for png in pngs]

    def assert_needs_nothing_else(self) -> None:
        """Whatever it shows is inside it, and it runs nothing."""
        for tag, attributes in self.elements:
            assert tag not in {"script", "iframe", "object", "embed", "link", "base"}
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, name)
                if name in REFERENCES:
                    assert value.startswith(("data:image/png;base64,", "data:audio/wav;base64,"))
        style = " ".join(self.words["style"])
        assert "url(" not in style
        assert "@import" not in style
