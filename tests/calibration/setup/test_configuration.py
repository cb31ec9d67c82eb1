"""What `earpatch setup` writes: good, commented, whole, and nothing of the engineer's is lost."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.setup.answers import Answers, SetupError, answers_from, first_answers
from calibration.setup.configuration import (
    configuration,
    read_raw,
    state_folder,
    write_configuration,
    write_password,
)
from edge.errors import SettingsError
from edge.settings import load_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STATE = Path("/var/lib/earpatch")
ANSWERS = Answers(node="pump-3", device="port:1-1.2", url="mqtt://10.0.0.1", topic_prefix="a/b")
BY_HAND = """\
# ours
[node]
id = "old"
[source]
kind = "microphone"
device = "card:Old"
channel = 2
[bundle]
path = "elsewhere"
runtime = "litert"
[mqtt]
url = "mqtt://old"
keepalive_s = 60

[alarm] # since the flood
latching = true

[[level]]
name = "loud" # as agreed
above_dbfs = -20
[clips]
"""


def test_the_configuration_is_good_and_says_what_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "earpatch.toml"
    write_configuration(configuration(ANSWERS, "", STATE), path)
    settings = load_settings(path)
    (only,) = settings.all_inputs()
    assert (settings.node.id, settings.node.state_dir) == ("pump-3", str(STATE))
    assert (settings.mqtt.url, settings.mqtt.topic_prefix) == ("mqtt://10.0.0.1", "a/b")
    assert (only.source.device, only.bundle.path) == ("port:1-1.2", str(STATE / "bundle"))  # type: ignore[union-attr]
    assert path.read_text().count("#") >= 8, "comments"


def test_run_again_it_keeps_all_that_it_does_not_ask_about() -> None:
    text = configuration(ANSWERS, BY_HAND, STATE)
    new, old = tomllib.loads(text), tomllib.loads(BY_HAND)
    assert {key: new[key] for key in ("alarm", "level", "clips")} == {
        key: old[key] for key in ("alarm", "level", "clips")
    }
    assert "# since the flood" in text
    assert "# as agreed" in text
    assert new["source"] == {"kind": "microphone", "device": "port:1-1.2", "channel": 2}
    assert new["bundle"] == old["bundle"]
    assert (new["mqtt"]["keepalive_s"], new["mqtt"]["url"]) == (60, "mqtt://10.0.0.1")
    assert configuration(ANSWERS, text, STATE) == text, "and again, without growing"


def test_a_recording_as_the_source_gives_way_to_the_microphone() -> None:
    before = '[source]\nkind = "file"\npath = "x.wav"\nrealtime = true\n'
    assert tomllib.loads(configuration(ANSWERS, before, STATE))["source"] == {
        "kind": "microphone", "device": "port:1-1.2",
    }  # fmt: skip


@pytest.mark.parametrize(
    "before",
    ['alarm = { latching = true }\n[node]\nid = "x"\n', '[alarm]\ncomment = """\n[node]\n"""\n',
     "mqtt.deep.er = 1\n"],
    ids=["inline", "header in a text", "deep"],
)  # fmt: skip
def test_what_it_could_lose_it_refuses(before: str) -> None:
    with pytest.raises(SetupError, match="edit"):
        configuration(ANSWERS, before, STATE)


def test_several_inputs_are_left_to_a_person(tmp_path: Path) -> None:
    path = tmp_path / "earpatch.toml"
    path.write_text("[[inputs]]\nname = 'a'\n")
    with pytest.raises(SetupError, match="inputs"):
        read_raw(path)


def test_what_is_configured_is_offered_the_next_time() -> None:
    raw = tomllib.loads(configuration(ANSWERS, "", STATE))
    assert answers_from(raw, first_answers("host")) == ANSWERS


def test_a_bad_configuration_is_never_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "earpatch.toml"
    path.write_text("as it was")
    text = configuration(ANSWERS, "[alarm]\nno_such_key = 1\n", STATE)
    with pytest.raises(SettingsError, match="no_such_key"):
        write_configuration(text, path)
    assert path.read_text() == "as it was"
    assert [each.name for each in tmp_path.iterdir()] == ["earpatch.toml"]


def test_the_configuration_before_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "earpatch.toml"
    for node in ("first", "second"):
        answers = msgspec.structs.replace(ANSWERS, node=node)
        write_configuration(configuration(answers, "", STATE), path)
    assert load_settings(path).node.id == "second"
    assert '"first"' in (tmp_path / "earpatch.toml.before").read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_password_is_readable_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "earpatch.password"
    path.write_text("old")
    path.chmod(0o644)
    write_password("secret", path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("secret\n", 0o600)


def test_each_node_on_a_computer_has_its_own_folder() -> None:
    assert state_folder(Path("/etc/earpatch/earpatch.toml")) == STATE
    assert state_folder(Path("/etc/earpatch/east.toml")) == STATE / "east"


@given(device=st.text(max_size=40), prefix=st.text(min_size=1, max_size=40))
def test_whatever_the_answers_hold_is_written_as_it_is(device: str, prefix: str) -> None:
    answers = msgspec.structs.replace(ANSWERS, device=device, topic_prefix=prefix)
    raw = tomllib.loads(configuration(answers, "", STATE))
    assert (raw["source"]["device"], raw["mqtt"]["topic_prefix"]) == (device, prefix)
