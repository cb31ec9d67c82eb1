"""Explaining a recording: a page and a picture that an operator can trust."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from msgspec import structs

import calibration.explain
from calibration.explain import Explained, explain
from calibration.moments import MOST_SHOWN, evidence_by_scale
from calibration.simulator import RATE_HZ
from calibration.views import PICTURE_PX, PICTURE_TEXT_PX
from convert.main import main
from edge.pictures.colours import INK, OUTLINE
from edge.pictures.images import Sheet
from edge.scoring import Scored, score_recording
from tests.calibration.pages import Page
from tests.conftest import DAY_S, MACHINE
from tests.edge.pictures.pixels import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from tests.conftest import Site

MOST_PAGE_BYTES = 8_000_000
UNUSUAL = "The most unusual moment"


@pytest.fixture(scope="module")
def bundle(site: Site) -> Bundle:
    """The site's bundle."""
    return site.open()


@pytest.fixture(scope="module")
def explained(site: Site, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Explained:
    """The day with its faults, explained."""
    return explain(bundle, site.day, tmp_path_factory.mktemp("explained"))


@pytest.fixture(scope="module")
def page(explained: Explained) -> Page:
    """Its page."""
    return Page(explained.page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scored(site: Site, bundle: Bundle) -> Scored:
    """The day, scored."""
    return score_recording(bundle, site.day)


def normal_recording(folder: Path, seconds: float = 4.0) -> Path:
    path = folder / "calm.wav"
    soundfile.write(path, MACHINE.normal(seconds, 3), RATE_HZ)
    return path


def with_recordings(bundle: Bundle, **changes: str) -> Bundle:
    """The same bundle, its calibration recordings said to be otherwise."""
    manifest = bundle.manifest
    recordings = [structs.replace(recording, **changes) for recording in manifest.recordings]
    return replace(bundle, manifest=structs.replace(manifest, recordings=recordings))


def test_a_page_needs_nothing_but_itself(page: Page) -> None:
    page.assert_needs_nothing_else()
    assert not re.search(r"https?://", page.source)


def test_a_page_can_be_read_on_a_phone_and_printed(page: Page) -> None:
    viewports = [a["content"] for a in page.all("meta") if a.get("name") == "viewport"]
    assert viewports == ["width=device-width, initial-scale=1"]
    style = " ".join(page.words["style"])
    assert "@media print" in style
    assert "break-inside: avoid" in style


def test_every_picture_has_words_for_who_cannot_see_it(page: Page) -> None:
    assert len(page.all("img")) >= 1 + 2 * 1
    assert all(len(attributes["alt"]) > 20 for attributes in page.all("img"))
    assert all(attributes["aria-label"] for attributes in page.all("svg"))


def test_each_event_is_told_in_its_own_sentence_the_strongest_first(
    site: Site, explained: Explained, page: Page
) -> None:
    learnt_s = sum(r.duration_s for r in site.open().manifest.recordings)
    titles = page.words["h2"]
    scores = [event.score for event in explained.events]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) >= 2
    for number, event in enumerate(explained.events[:MOST_SHOWN], 1):
        assert titles[number - 1] == f"{number}. {event.summary(learnt_s)}"
        assert f"{event.start_s:.2f} to {event.end_s:.2f} s" in page.text
        assert f"{event.score:.2f} times the alarm level" in page.text


def test_snippets_are_as_long_as_they_say(page: Page, explained: Explained) -> None:
    sounds = page.sounds()
    assert len(sounds) == 3 * min(MOST_SHOWN, len(explained.events))
    for samples, rate_hz, label in sounds:
        (stated,) = re.findall(r": ([0-9.]+) s, played", label)
        assert len(samples) / rate_hz == pytest.approx(float(stated), abs=0.006)


def test_the_event_can_be_heard_whole_with_half_a_second_around_it(
    page: Page, explained: Explained
) -> None:
    event = explained.events[0]
    samples, rate_hz, _ = page.sounds()[0]
    expected_s = min(DAY_S, event.end_s + 0.5) - max(0.0, event.start_s - 0.5)
    assert len(samples) / rate_hz == pytest.approx(expected_s, abs=0.001)


def test_the_band_alone_holds_no_energy_outside_of_the_event_s_band(
    page: Page, explained: Explained
) -> None:
    for number, event in enumerate(explained.events[:MOST_SHOWN]):
        samples, rate_hz, label = page.sounds()[3 * number + 1]
        assert "alone" in label
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
        outside = (frequency_hz < event.low_hz / 1.3) | (frequency_hz > event.high_hz * 1.3)
        assert power[outside].sum() < 1e-3 * power.sum()


def test_the_nearest_normal_sound_is_one_that_the_bank_holds(
    page: Page, bundle: Bundle, explained: Explained
) -> None:
    bank = bundle.manifest.bank
    known = {
        (Path(bundle.manifest.recordings[recording].path).name, f"{at_s:.2f}")
        for recording, at_s in zip(bank.origin_recording, bank.origin_s, strict=True)
    }
    found = [
        re.fullmatch(r"Nearest normal sound: (.+) at ([0-9.]+) s", t) for t in page.words["h3"]
    ]
    told = [match.groups() for match in found if match]
    assert len(told) == min(MOST_SHOWN, len(explained.events))
    assert set(told) <= known
    event = explained.events[0]
    assert told[0] == (event.nearest_recording, f"{event.nearest_s:.2f}")


def frame(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Left edge and width of the plots of the large picture."""
    left = np.flatnonzero((picture == INK).all(axis=2).sum(axis=0) >= 300)[0] + 1
    return int(left), Sheet(PICTURE_PX, PICTURE_TEXT_PX).plot_px[1]


def test_the_picture_has_boxes_where_the_events_are(explained: Explained) -> None:
    picture = pixels(explained.picture.read_bytes())
    left, width = frame(picture)
    outlined = (picture == OUTLINE).all(axis=2)
    assert picture.shape[1] == 1_200
    columns = np.flatnonzero(outlined.any(axis=0))
    times_s = (columns - left) / width * DAY_S
    start_s = min(event.start_s for event in explained.events)
    end_s = max(event.end_s for event in explained.events)
    assert times_s.min() == pytest.approx(start_s, abs=0.06)
    assert times_s.max() == pytest.approx(end_s, abs=0.06)
    for event in explained.events:
        at = left + round((event.start_s + event.end_s) / 2 / DAY_S * width)
        assert outlined[:, at - 2 : at + 3].any()
    quiet = left + round(2.0 / DAY_S * width)
    assert not outlined[:, :quiet].any(), "nothing happens in the first two seconds"


def test_the_scales_together_give_the_evidence_that_was_scored(
    bundle: Bundle, scored: Scored
) -> None:
    limits = bundle.manifest.thresholds
    columns = len(scored.evidence)
    whole = evidence_by_scale(limits, scored, 0, columns)
    assert whole.shape == (len(limits.scales), columns, scored.evidence.shape[1])
    assert np.allclose(whole.max(axis=0), scored.evidence, atol=1e-5)


def test_evidence_of_a_part_is_that_of_the_whole(bundle: Bundle, scored: Scored) -> None:
    """Only the columns around a moment are weighed again, and that changes nothing."""
    long = replace(
        scored,
        distances=np.tile(scored.distances, (12, 1)),
        levels_db=np.tile(scored.levels_db, (12, 1)),
        evidence=np.tile(scored.evidence, (12, 1)),
    )
    limits = bundle.manifest.thresholds
    whole = evidence_by_scale(limits, long, 0, len(long.evidence))
    for first, last in ((0, 30), (1_200, 1_250), (len(long.evidence) - 10, len(long.evidence))):
        part = evidence_by_scale(limits, long, first, last)
        assert np.allclose(part, whole[:, first:last], atol=1e-5)


def test_the_largest_evidence_of_the_scales_is_the_score(page: Page, explained: Explained) -> None:
    numbers = [float(word) for word in page.words["text"] if re.fullmatch(r"-?\d+\.\d\d", word)]
    assert round(explained.events[0].score, 2) == pytest.approx(max(numbers), abs=0.011)


def test_a_normal_recording_gets_a_page_too(bundle: Bundle, tmp_path: Path) -> None:
    done = explain(bundle, normal_recording(tmp_path), tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    page.assert_needs_nothing_else()
    assert done.events == []
    assert page.words["h2"][0] == UNUSUAL
    assert any(word.startswith("normal, score 0.") for word in page.words["p"])
    assert "stays below the alarm level" in page.text
    assert len(page.sounds()) == 3
    assert (pixels(done.picture.read_bytes()) == OUTLINE).all(axis=2).any()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"path": "/nowhere/at-all.wav"}, "it is gone: there is no /nowhere/at-all.wav any more"),
        ({"sha256": "0" * 64}, "is another recording now"),
    ],
    ids=["deleted", "changed"],
)
def test_a_calibration_recording_that_is_gone_is_said_to_be(
    site: Site, bundle: Bundle, tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    done = explain(with_recordings(bundle, **changes), site.day, tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    shown = min(MOST_SHOWN, len(done.events))
    assert page.text.count(why) == shown
    assert page.text.count("Nearest normal sound: ") == shown, "name and second are told"
    assert len(page.sounds()) == 2 * shown
    assert len(page.all("img")) == 1 + shown


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>\"'&amp;.wav",
        "<script>alert(1)<script>.wav",
        "two\nlines.wav",
        "\u0448\u0443\u043c \u96d1\u97f3.wav",
        os.fsdecode(b"caf\xe9.wav"),
        "https:example.org.wav",
    ],
    ids=["image", "script", "newline", "letters", "bytes", "address"],
)
def test_a_hostile_file_name_is_only_text(
    site: Site, bundle: Bundle, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    shutil.copy(site.day, path)
    hostile = with_recordings(bundle, path=f"/nowhere/{name}")
    done = explain(hostile, path, tmp_path / "out")
    page = Page(done.page.read_text(encoding="utf-8"))
    page.assert_needs_nothing_else()
    shown = name.encode("utf-8", "replace").decode()
    assert page.words["h1"] == [shown]
    assert f"Nearest normal sound: {shown}" in page.text
    assert pixels(done.picture.read_bytes()).shape[1] == PICTURE_PX


def test_only_the_strongest_events_are_shown_and_the_others_are_said_to_be_left_out(
    bundle: Bundle, site: Site, scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scored.verdict.events[0]
    many = [structs.replace(first, score=float(score)) for score in range(2, 302)]
    verdict = structs.replace(scored.verdict, events=many)
    busy = replace(scored, verdict=verdict)
    monkeypatch.setattr(calibration.explain, "score_recording", lambda *_: busy)
    done = explain(bundle, site.day, tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    assert len(page.all("section")) == MOST_SHOWN + 2
    assert "Left out: 292 weaker events" in page.text
    assert len(page.all("li")) == 200
    assert "And 92 weaker events." in page.text
    assert done.page.stat().st_size < MOST_PAGE_BYTES
    assert "301.00 times the alarm level" in page.text
    assert "2.00 times the alarm level" not in page.words["td"]


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (44_100, 2)])
def test_other_rates_and_channels_are_explained_as_they_are_scored(
    bundle: Bundle, tmp_path: Path, rate_hz: int, channels: int
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, (4 * rate_hz, channels))
    soundfile.write(tmp_path / "other.wav", noise, rate_hz)
    done = explain(bundle, tmp_path / "other.wav", tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    assert f"{rate_hz} Hz" in page.text
    assert (done.note or "") in page.text


def test_the_shortest_recording_that_is_scored_is_explained(bundle: Bundle, tmp_path: Path) -> None:
    done = explain(bundle, normal_recording(tmp_path, 0.09), tmp_path)
    Page(done.page.read_text(encoding="utf-8")).assert_needs_nothing_else()


def test_the_command_prints_both_paths_and_a_line_for_each_event(
    site: Site, explained: Explained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["explain", str(site.bundle_path), str(site.day), "--output", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [str(folder / "day.html"), str(folder / "day.png")]
    assert len(lines) == 2 + len(explained.events)
    learnt_s = sum(r.duration_s for r in site.open().manifest.recordings)
    for line, event in zip(lines[2:], explained.events, strict=True):
        assert event.summary(learnt_s) in line
    assert {path.name for path in folder.iterdir()} == {"day.html", "day.png"}


def test_the_same_recording_gives_the_same_page(
    site: Site, bundle: Bundle, explained: Explained, tmp_path: Path
) -> None:
    again = explain(bundle, site.day, tmp_path)
    assert again.page.read_bytes() == explained.page.read_bytes()
    assert again.picture.read_bytes() == explained.picture.read_bytes()


@pytest.mark.parametrize(
    "case", ["missing", "empty", "short", "folder", "bundle", "output", "name"]
)
def test_bad_input_is_one_clear_error(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "short.wav", np.zeros(10), RATE_HZ)
    (tmp_path / "output").write_text("in the way")
    (tmp_path / "named" / "day.html").mkdir(parents=True)
    file = {"missing": tmp_path / "no.wav", "empty": tmp_path / "empty.wav", "folder": tmp_path,
            "short": tmp_path / "short.wav"}.get(case, site.day)  # fmt: skip
    bundle = tmp_path / "none" if case == "bundle" else site.bundle_path
    output = {"output": tmp_path / "output", "name": tmp_path / "named"}.get(case, tmp_path / "o")
    assert main(["explain", str(bundle), str(file), "--output", str(output)]) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("earpatch: ")
    assert told.out == ""
    assert not list(tmp_path.rglob(".earpatch-writing"))


def test_of_a_long_event_a_part_is_heard_and_that_is_said(
    bundle: Bundle, site: Site, scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scored.verdict.events[0]
    long = structs.replace(first, start_s=0.0, end_s=DAY_S, peak_s=DAY_S - 1)
    whole = replace(scored, verdict=structs.replace(scored.verdict, events=[long]))
    monkeypatch.setattr(calibration.explain, "score_recording", lambda *_: whole)
    done = explain(bundle, site.day, tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    samples, rate_hz, label = page.sounds()[0]
    assert len(samples) / rate_hz == pytest.approx(12.0, abs=0.001)
    assert f"Heard from {DAY_S - 12:.2f} s to {DAY_S:.2f} s, a part of it" in label


def test_of_many_events_each_is_heard_whole_if_it_fits(
    bundle: Bundle, site: Site, scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = structs.replace(scored.verdict.events[0], start_s=4.0, end_s=6.5, peak_s=6.4)
    busy = replace(scored, verdict=structs.replace(scored.verdict, events=[event] * MOST_SHOWN))
    monkeypatch.setattr(calibration.explain, "score_recording", lambda *_: busy)
    done = explain(bundle, site.day, tmp_path)
    page = Page(done.page.read_text(encoding="utf-8"))
    _, _, label = page.sounds()[0]
    (start, end) = re.findall(r"from ([0-9.]+) s to ([0-9.]+) s", label)[0]
    assert float(start) <= 4.0
    assert float(end) >= 6.5
    assert "a part" not in page.text
    assert done.page.stat().st_size < MOST_PAGE_BYTES
