"""A page that needs nothing but itself: HTML with its style, pictures and sounds inside.

One column on a phone, two where there is room, white on paper, no script, no network.
"""

from __future__ import annotations

import base64
import contextlib
import html
from typing import TYPE_CHECKING

from calibration.phrases import printable
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from calibration.snippets import Snippet

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #141414; font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 0.8rem; }
h1 { font-size: 1.35rem; margin: 0.4rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0.2rem 0 0.5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0.8rem 0 0.2rem; overflow-wrap: anywhere; }
p, li { margin: 0.35rem 0; overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: 0.15rem 0.6rem; border: 2px solid; border-radius: 4px;
  font-weight: 700; }
.alarm { color: #b30043; }
.normal { color: #1b5e20; }
.note { border-left: 4px solid #e6a100; padding-left: 0.6rem; }
.small, footer { font-size: 0.85rem; color: #444; }
section { border-top: 1px solid #bbb; margin-top: 1.2rem; padding-top: 0.8rem; }
figure { margin: 0.6rem 0; }
figcaption { font-size: 0.9rem; color: #333; }
img, svg { display: block; width: 100%; height: auto; }
main > figure img { max-width: 46rem; }
svg { max-width: 30rem; font: 12px system-ui, sans-serif; fill: #141414; }
svg text { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
audio { display: block; width: 100%; max-width: 30rem; margin: 0.15rem 0 0.6rem; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.1rem 0.8rem 0.1rem 0; }
th { font-weight: 400; color: #444; white-space: nowrap; }
@media (min-width: 48rem) {
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.4rem; }
}
@media print {
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .listen { display: none; }
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; }
  section, figure, table, svg { break-inside: avoid; page-break-inside: avoid; }
  section img { max-height: 10cm; width: auto; max-width: 100%; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
UNFINISHED = ".earpatch-writing"
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page; `title` is plain text, the parts are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def escaped(text: object) -> str:
    """Plain text, safe in HTML."""
    return html.escape(printable(text))


def element(name: str, text: object, kind: str = "") -> str:
    """One element around plain text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<{name}{attribute}>{escaped(text)}</{name}>"


def facts(pairs: Sequence[tuple[str, object]]) -> str:
    """A table of names and what they are."""
    rows = (f"<tr>{element('th', name)}{element('td', value)}</tr>" for name, value in pairs)
    return f"<table>{''.join(rows)}</table>"


def picture(png: bytes, alternative: str, caption: str = "") -> str:
    """An inline PNG."""
    data = base64.b64encode(png).decode()
    below = element("figcaption", caption) if caption else ""
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escaped(alternative)}">'
        f"{below}</figure>"
    )


def chart(svg: str, caption: str) -> str:
    """An inline SVG."""
    return f"<figure>{svg}{element('figcaption', caption)}</figure>"


def player(heard: Snippet, name: str) -> str:
    """An inline WAV with what it is, how long, and how much louder than it was."""
    data = base64.b64encode(heard.wav).decode()
    label = f"{name}: {heard.duration_s:.2f} s, played {heard.gain_db:+.1f} dB"
    return (
        f'<div class="listen">{element("p", label, "small")}'
        f'<audio controls preload="metadata" aria-label="{escaped(label)}" '
        f'src="data:audio/wav;base64,{data}"></audio></div>'
    )


def write(path: Path, content: bytes) -> None:
    """Put a finished file in its place, at once.

    Raises:
        EarpatchError: it can't be written.
    """
    unfinished = path.with_name(UNFINISHED)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise EarpatchError(f"{path}: can't be written ({error.strerror or error})") from None
