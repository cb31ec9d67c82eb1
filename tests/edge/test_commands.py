"""The command line as a person meets it: child processes, exit codes, one line for a mistake."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy import signal

from tests.conftest import Broker, Site, free_port, run_mosquitto

CHILD_S = 120.0
EVENT_KEYS = [
    "start_s", "end_s", "low_hz", "high_hz", "peak_s", "peak_hz", "score", "scale_s", "excess_db",
    "contrast_db", "nearest_recording", "nearest_s", "false_alarms_per_day",
]  # fmt: skip


def earpatch(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "convert.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=CHILD_S, check=False, **options
    )


def assert_one_line(ran: "subprocess.CompletedProcess[str]", code: int, *words: object) -> None:
    assert "Traceback" not in ran.stderr, ran.stderr
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("earpatch: ")
    assert ran.returncode == code
    assert [str(word) for word in words if str(word) not in lines[0]] == []


@pytest.fixture(scope="session")
def quiet(site: Site) -> Path:
    """Normal sound that was learnt; it is not anomalous."""
    return site.normal / "0.wav"


def test_score_prints_a_line_for_each_recording_and_two_for_each_event(
    site: Site, quiet: Path
) -> None:
    ran = earpatch("score", site.bundle_path, site.day, quiet)
    assert (ran.returncode, ran.stderr) == (0, "")
    day, *events, normal = ran.stdout.splitlines()
    assert day.startswith(f"{site.day}: ANOMALOUS, score ")
    assert normal.startswith(f"{quiet}: normal, score ")
    assert len(events) >= 4
    for what, where in zip(events[::2], events[1::2], strict=True):
        assert re.match(r"  +\d+\.\d\d-\d+\.\d\d s  score \d+\.\d\d  \w", what)
        assert re.match(r"    peak .* kHz, found over [\d.]+ s; .* most like \d\.wav at", where)


def test_json_is_one_object_a_line_with_exactly_the_documented_keys(
    site: Site, quiet: Path
) -> None:
    ran = earpatch("score", "--json", site.bundle_path, site.day, quiet)
    assert (ran.returncode, ran.stderr) == (0, "")
    day, normal = map(json.loads, ran.stdout.splitlines())
    for verdict in (day, normal):
        assert list(verdict) == ["path", "score", "false_alarms_per_day", "anomalous", "events"]
    assert (day["path"], day["anomalous"]) == (str(site.day), True)
    assert (normal["path"], normal["anomalous"], normal["events"]) == (str(quiet), False, [])
    assert [list(event) for event in day["events"]] == [EVENT_KEYS] * len(day["events"])
    for event, truth in zip(day["events"], site.truth, strict=True):
        assert event["start_s"] < truth.end_s
        assert event["end_s"] > truth.start_s
        assert event["start_s"] <= event["peak_s"] <= event["end_s"]
        assert event["low_hz"] <= event["peak_hz"] <= event["high_hz"]
    assert day["score"] == pytest.approx(max(e["score"] for e in day["events"]), abs=1e-3)


def test_maps_have_a_cell_for_each_time_and_frequency(site: Site, tmp_path: Path) -> None:
    ran = earpatch("score", site.bundle_path, site.day, "--maps", tmp_path / "new" / "maps")
    assert ran.returncode == 0
    with np.load(tmp_path / "new" / "maps" / "day.npz") as saved:
        cells, times, freqs = saved["map"], saved["time_edges_s"], saved["freq_edges_hz"]
    assert cells.dtype == np.float32
    assert cells.shape == (len(times) - 1, len(freqs) - 1)
    assert np.isfinite(cells).all()
    assert (np.diff(times) > 0).all()
    assert (np.diff(freqs) > 0).all()
    assert times[0] == 0
    assert times[-1] == pytest.approx(16.0, abs=0.1)


def test_the_map_of_a_16_khz_recording_has_no_row_above_8_khz(site: Site, tmp_path: Path) -> None:
    low = signal.resample_poly(site.sound, 1, 3)
    soundfile.write(tmp_path / "low.wav", low, 16_000)
    ran = earpatch("score", "--json", site.bundle_path, tmp_path / "low.wav", "--maps", tmp_path)
    assert ran.returncode == 0
    assert_one_line(ran, 0, "low.wav", "nothing above 8000 Hz")
    with np.load(tmp_path / "low.npz") as saved:
        assert saved["freq_edges_hz"].max() <= 8_000
        assert saved["map"].shape[1] == len(saved["freq_edges_hz"]) - 1
    assert all(event["high_hz"] <= 8_000 for event in json.loads(ran.stdout)["events"])


def test_a_bad_file_among_good_ones_is_reported_and_the_others_are_scored(
    site: Site, quiet: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    ran = earpatch("score", "--json", site.bundle_path, site.day, bad, quiet, "--maps", tmp_path)
    assert_one_line(ran, 2, bad)
    verdicts = [json.loads(line) for line in ran.stdout.splitlines()]
    complete = [verdict["path"] for verdict in verdicts if "score" in verdict]
    assert complete == [str(site.day), str(quiet)]
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["0.npz", "day.npz"]


def test_a_reader_that_goes_away_is_no_error(site: Site, quiet: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "convert.main", "score", str(site.bundle_path), str(quiet)]
        ran = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, timeout=CHILD_S, check=False
        )
    finally:
        os.close(writing)
    assert ran.stderr == b""


def truncated_wav(path: Path) -> None:
    soundfile.write(path, np.zeros(48_000), 48_000)
    path.write_bytes(path.read_bytes()[:9_000])


def truncated_flac(path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 96_000)
    soundfile.write(path, noise, 48_000, format="FLAC")
    path.write_bytes(path.read_bytes()[:90_000])


def short(path: Path) -> None:
    soundfile.write(path, np.zeros(100), 48_000)


def not_numbers(path: Path) -> None:
    soundfile.write(path, np.full(48_000, np.nan, np.float32), 48_000, subtype="FLOAT")


BAD_RECORDINGS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("no sound"),
    "0 bytes": lambda path: path.touch(),
    "missing": lambda _: None,
    "a folder": lambda path: path.mkdir(),
    "truncated WAV": truncated_wav,
    "truncated FLAC": truncated_flac,
    "shorter than a cell": short,
    "NaN": not_numbers,
}


@pytest.mark.parametrize("make", BAD_RECORDINGS.values(), ids=BAD_RECORDINGS)
def test_a_bad_recording_is_one_line(
    site: Site, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "bad.wav")
    ran = earpatch("score", site.bundle_path, tmp_path / "bad.wav")
    assert_one_line(ran, 2, tmp_path / "bad.wav")
    assert ran.stdout == ""


def test_samples_beyond_all_measure_leave_no_warnings_of_numpy(site: Site, tmp_path: Path) -> None:
    loud = np.full(48_000, 3e38, np.float32)
    loud[::2] *= -1
    soundfile.write(tmp_path / "loud.wav", loud, 48_000, subtype="FLOAT")
    ran = earpatch("score", site.bundle_path, tmp_path / "loud.wav")
    assert [line for line in ran.stderr.splitlines() if not line.startswith("earpatch: ")] == []
    assert ran.returncode in {0, 2}


def emptied(bundle: Path) -> None:
    (bundle / "bank.tflite").write_bytes(b"")


def changed(bundle: Path) -> None:
    model = bytearray((bundle / "backbone.tflite").read_bytes())
    model[len(model) // 2] ^= 1
    (bundle / "backbone.tflite").write_bytes(model)


def without_a_file(bundle: Path) -> None:
    (bundle / "bank.tflite").resolve().unlink()


def no_utf_8(bundle: Path) -> None:
    raw = (bundle / "manifest.json").read_bytes()
    (bundle / "manifest.json").write_bytes(
        raw.replace(b'"created_by": "', b'"created_by": "\xff', 1)
    )


def empty_folder(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.mkdir()


def a_file_instead(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.touch()


BAD_BUNDLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "no such bundle"),
    "0-byte file": (emptied, "empty (0 bytes)"),
    "wrong hash": (changed, "does not match the manifest"),
    "file missing": (without_a_file, "missing"),
    "manifest is text": (lambda b: (b / "manifest.json").write_text("{"), "manifest"),
    "manifest is not UTF-8": (no_utf_8, "manifest"),
    "empty folder": (empty_folder, "no bundle in this folder"),
    "a file": (a_file_instead, "is not a folder"),
}


@pytest.mark.parametrize(("damage", "words"), BAD_BUNDLES.values(), ids=BAD_BUNDLES)
def test_a_bad_bundle_is_one_line(
    site: Site, tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    bundle = site.copy_bundle(tmp_path / "bundle")
    damage(bundle)
    assert_one_line(earpatch("score", bundle, site.day), 2, bundle, words)


def test_maps_that_would_overwrite_each_other_are_refused(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "day.flac"
    ran = earpatch("score", site.bundle_path, site.day, other, "--maps", tmp_path / "maps")
    assert_one_line(ran, 2, site.day, other, "day.npz")
    assert ran.stdout == ""


@pytest.mark.parametrize("taken", ["maps", "maps/day.npz/x"], ids=["a file", "map is a folder"])
def test_maps_that_can_t_be_written_are_one_line(site: Site, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).touch()
    ran = earpatch("score", site.bundle_path, site.day, "--maps", tmp_path / "maps")
    assert_one_line(ran, 2, tmp_path / "maps")


NODE = '[node]\nid = "a"\nstate_dir = "s"\n[bundle]\npath = "b"\n[source]\nkind = "file"\n'
BAD_CONFIGS = {
    "unknown key": (NODE + 'pth = "x"', "did you mean 'path'?"),
    "wrong type": (NODE + "path = 3", "source.path"),
    "no TOML": ("node", "not TOML"),
    "no bundle there": (NODE + 'path = "x"', "no such bundle"),
    "unknown host": (NODE + 'path = "x"\n[mqtt]\nurl = "mqtt://a..b"', "mqtt.url"),
}


@pytest.mark.parametrize(("text", "words"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_configuration_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "node.toml").write_text(text)
    assert_one_line(earpatch("run", "--config", tmp_path / "node.toml"), 2, tmp_path, words)


def test_a_recording_that_is_missing_from_a_configuration_is_one_line(
    site: Site, tmp_path: Path
) -> None:
    text = NODE.replace('"b"', f'"{site.bundle_path}"') + 'path = "gone.wav"'
    (tmp_path / "node.toml").write_text(text)
    ran = earpatch("run", "--config", tmp_path / "node.toml")
    assert_one_line(ran, 2, tmp_path / "gone.wav", "no such file")


def test_listen_with_the_broker_down_is_one_line_and_code_3() -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    assert_one_line(earpatch("listen", "--url", url), 3, url, "connection refused")


def test_listen_gives_a_password_from_a_file_and_never_shows_it(tmp_path: Path) -> None:
    """F29."""
    accounts, password, port = tmp_path / "accounts", tmp_path / "password", free_port()
    command = ["mosquitto_passwd", "-c", "-b", str(accounts), "anna", "open sesame"]
    subprocess.run(command, check=True)
    with run_mosquitto(tmp_path, port, f"password_file {accounts}", "allow_anonymous false"):
        url = f"mqtt://127.0.0.1:{port}"
        listen = ["listen", "--url", url, "--seconds", "0.2", "--username", "anna"]
        listen += ["--password-file", str(password)]
        assert_one_line(earpatch(*listen), 2, "password_file", password)
        password.write_text("open barley\n")
        ran = earpatch(*listen)
        assert_one_line(ran, 3, "refuses the connection", "'anna'")
        assert "barley" not in ran.stderr
        password.write_text("open sesame\n")
        ran = earpatch(*listen)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("url", ["http://broker", "mqtt://", "mqtt://a..b", "mqtt://u:p@broker"])
def test_listen_with_a_bad_url_is_one_line_and_code_2(url: str) -> None:
    assert_one_line(earpatch("listen", "--url", url), 2)


@pytest.mark.parametrize("topic", ["site/#", "x" * 70_000], ids=["wildcard", "too long"])
def test_listen_with_a_bad_topic_is_one_line(broker: Broker, topic: str) -> None:
    ran = earpatch("listen", "--url", broker.url, "--topic", topic, "--seconds", "1")
    assert_one_line(ran, 2)
