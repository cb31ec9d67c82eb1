"""The configuration file: what is right is read, what is wrong is one line naming file and key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.settings import RecordingSource, StdinSource
from edge.delivery.settings import BrokerAddress, broker_address
from edge.errors import SettingsError
from edge.settings import load_settings

EXAMPLE = """\
[node]
id = "pump-3"
state_dir = "/var/lib/earpatch"

[bundle]
path = "/var/lib/earpatch/bundle"

[source]
kind = "file"
path = "line3.flac"
realtime = true

[mqtt]
url = "mqtt://192.168.1.10:1883"
topic_prefix = "site/area/line"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert len(text.splitlines()) == 1, text
    assert len(text) < 1_000
    return text.removeprefix(f"{path}: ")


def changed(old: str, new: str) -> str:
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new)


def test_the_example_is_read(tmp_path: Path) -> None:
    read = load_settings(write(tmp_path, EXAMPLE))
    assert (read.node.id, read.node.state_dir) == ("pump-3", "/var/lib/earpatch")
    (only,) = read.all_inputs()
    assert (only.bundle.path, only.bundle.runtime) == ("/var/lib/earpatch/bundle", "auto")
    assert read.source == RecordingSource(path=str(tmp_path / "line3.flac"), realtime=True)
    assert read.mqtt.address == BrokerAddress("192.168.1.10", 1883)
    assert read.mqtt.topic_prefix == "site/area/line"


def test_what_is_left_out_has_its_documented_default(tmp_path: Path) -> None:
    text = '[node]\nid = "a"\n[bundle]\npath = "b"\n[source]\nkind = "stdin"\nrate_hz = 48000\n'
    read = load_settings(write(tmp_path, text))
    assert read.source == StdinSource(rate_hz=48_000, channels=1, encoding="s16le")
    assert read.node.state_dir == "/var/lib/earpatch"
    assert (read.mqtt.url, read.mqtt.topic_prefix) == ("mqtt://127.0.0.1:1883", "earpatch")
    assert read.mqtt.drain_s == 10
    assert (read.mqtt.protocol, read.mqtt.keepalive_s) == ("auto", 30)
    assert read.mqtt.backlog_rate_per_s == 50
    assert (read.outbox.max_rows, read.outbox.max_bytes) == (100_000, 67_108_864)


def test_relative_paths_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    text = changed('"/var/lib/earpatch"', '"state"').replace('"/var/lib/earpatch/bundle"', '"b"')
    monkeypatch.chdir(tmp_path)
    read = load_settings(write(tmp_path / "etc", text))
    assert read.node.state_dir == str(tmp_path / "etc" / "state")
    assert read.all_inputs()[0].bundle.path == str(tmp_path / "etc" / "b")
    assert isinstance(read.source, RecordingSource)
    assert read.source.path == str(tmp_path / "etc" / "line3.flac")


def test_the_files_of_the_broker_are_relative_to_the_configuration(tmp_path: Path) -> None:
    keys = 'username = "node"\npassword_file = "secret"\nca_file = "tls/ca.pem"\n'
    more = 'cert_file = "tls/node.pem"\nkey_file = "/etc/node.key"\n'
    text = changed("mqtt://192.168.1.10:1883", "mqtts://broker").replace(
        "[mqtt]\n", f"[mqtt]\n{keys}{more}"
    )
    read = load_settings(write(tmp_path, text)).mqtt
    assert read.address == BrokerAddress("broker", 8883, tls=True)
    assert read.password_file == str(tmp_path / "secret")
    assert read.ca_file == str(tmp_path / "tls" / "ca.pem")
    assert read.cert_file == str(tmp_path / "tls" / "node.pem")
    assert read.key_file == "/etc/node.key"


KIND = 'kind = "file"'
WRONG: dict[str, tuple[str, str, list[str]]] = {
    "unknown key": ("realtime", "realtme", ["'realtme'", "[source]", "did you mean 'realtime'?"]),
    "unknown section": ("[mqtt]", "[mqt]", ["'mqt'", "did you mean 'mqtt'?"]),
    "unlike any key": ("realtime", "xyzzy", ["unknown key 'xyzzy' in [source]"]),
    "key with a backtick": ("realtime", '"real`time"', ["source", "real`time"]),
    "key with a line break": ("realtime", '"real\\ntime"', ["unknown key"]),
    "unknown kind": (KIND, 'kind = "mikrofon"', ["source.kind", "mikrofon"]),
    "no kind": (KIND, "", ["source", "kind"]),
    "kind of another type": (KIND, "kind = 3", ["source.kind", "int"]),
    "key of another kind": (KIND, 'kind = "stdin"\nrate_hz = 48000', ["'path'", "[source]"]),
    "wrong type": ("true", '"yes"', ["source.realtime", "expected `bool`", "`str`"]),
    "id of a wrong type": ('"pump-3"', "3", ["node.id", "expected `str`, got `int`"]),
    "id with a slash": ("pump-3", "pump/3", ["node.id"]),
    "id with a line break": ("pump-3", "pump-3\\n", ["node.id"]),
    "id with a wildcard": ("pump-3", "+", ["node.id"]),
    "empty id": ("pump-3", "", ["node.id"]),
    "long id": ("pump-3", "p" * 65, ["node.id", "64"]),
    "empty path": ("line3.flac", "", ["source.path"]),
    "path with NUL": ("line3.flac", "a\\u0000b", ["source.path"]),
    "path with a line break": ("line3.flac", "a\\nb", ["source.path"]),
    "path with a line separator": ("line3.flac", "a\\u2028b", ["source.path"]),
    "path with a control character": ("line3.flac", "a\\u0085b", ["source.path"]),
    "a key that is a book": ("realtime", "k" * 5_000, ["kkk", " ... ", "in [source]"]),
    "a value that is a book": (KIND, f'kind = "{"k" * 5_000}"', ["source.kind", " ... "]),
    "unknown runtime": ("[source]", 'runtime = "tensorflow"\n[source]', ["bundle.runtime"]),
    "# in topic_prefix": ("site/area", "site/#", ["mqtt.topic_prefix"]),
    "+ in topic_prefix": ("site/area", "+/area", ["mqtt.topic_prefix"]),
    "empty topic level": ("site/area", "site//area", ["mqtt.topic_prefix"]),
    "leading slash": ("site/area", "/site/area", ["mqtt.topic_prefix"]),
    "NUL in topic_prefix": ("site/area", "site\\u0000/area", ["mqtt.topic_prefix"]),
    "topic beyond MQTT's bound": ("site/area", "s" * 65_536, ["mqtt.topic_prefix"]),
    "negative wait": ("[mqtt]", "[mqtt]\ndrain_s = -1", ["mqtt.drain_s", ">= 0"]),
    "endless wait": ("[mqtt]", "[mqtt]\ndrain_s = inf", ["mqtt.drain_s", "<= 3600"]),
    "wait that is no number": ("[mqtt]", "[mqtt]\ndrain_s = nan", ["mqtt.drain_s"]),
    "unknown protocol": ("[mqtt]", '[mqtt]\nprotocol = "3.1"', ["mqtt.protocol"]),
    "no time to keep alive": ("[mqtt]", "[mqtt]\nkeepalive_s = 0", ["mqtt.keepalive_s", ">= 5"]),
    "a backlog that stands": ("[mqtt]", "[mqtt]\nbacklog_rate_per_s = 0", ["backlog_rate_per_s"]),
    "a password in the file": ("[mqtt]", '[mqtt]\npassword = "x"', ["password_file"]),
    "a password without a name": ("[mqtt]", '[mqtt]\npassword_file = "x"', ["mqtt.username"]),
    "a key without a certificate": ("[mqtt]", '[mqtt]\nkey_file = "x"', ["mqtt.cert_file"]),
    "an authority without TLS": ("[mqtt]", '[mqtt]\nca_file = "x"', ["mqtts://"]),
    "an outbox for nothing": ("[mqtt]", "[outbox]\nmax_rows = 0\n[mqtt]", ["outbox.max_rows"]),
    "an outbox for everything": ("[mqtt]", "[outbox]\nmax_bytes = 1e15\n[mqtt]", ["max_bytes"]),
    "no section [node]": (EXAMPLE[: EXAMPLE.index("[bundle]")], "", ["`node`"]),
    "no TOML": ('"pump-3"', "pump-3", ["not TOML", "line 2"]),
    "a section for a value": ("[source]", "[source.kind]", ["source.kind"]),
    "thousands of brackets": ("true", "[" * 5_000, ["not TOML"]),
    "thousands of digits": ("true", "1" * 5_000, ["not TOML"]),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line_that_names_the_key(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    """A07."""
    text = refusal(write(tmp_path, changed(old, new)))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("value", ["0", "3999", "384001", "-1", "48000.5", '"48000"', "true"])
def test_a_rate_out_of_range_or_of_a_wrong_type_is_refused(tmp_path: Path, value: str) -> None:
    """A07."""
    source = f'kind = "stdin"\nrate_hz = {value}\n'
    text = EXAMPLE.replace(f'{KIND}\npath = "line3.flac"\nrealtime = true\n', source)
    assert "source.rate_hz" in refusal(write(tmp_path, text))


def test_a_typo_beside_a_source_that_is_no_section_is_one_line(tmp_path: Path) -> None:
    text = 'node = { id = "a", sate_dir = "b" }\nbundle = { path = "b" }\nsource = 3\n'
    assert "did you mean 'state_dir'?" in refusal(write(tmp_path, text))


BAD_PATHS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "no such configuration file"),
    "a folder": (lambda path: path.mkdir(), "can't be read"),
    "empty": (lambda path: path.touch(), "`node`"),
    "not UTF-8": (lambda path: path.write_bytes(b'[node]\nid = "\xff"\n'), "not TOML"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "not TOML"),
}


@pytest.mark.parametrize(("make", "words"), BAD_PATHS.values(), ids=BAD_PATHS)
def test_a_file_that_is_no_configuration_is_one_line(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "node.toml")
    assert words in refusal(tmp_path / "node.toml")


@pytest.mark.parametrize(
    ("url", "host", "port", "shown"),
    [
        ("mqtt://broker", "broker", 1883, "mqtt://broker:1883"),
        ("mqtt://10.0.0.1:8883/", "10.0.0.1", 8883, "mqtt://10.0.0.1:8883"),
        ("mqtt://[::1]:1884", "::1", 1884, "mqtt://[::1]:1884"),
        ("mqtts://broker", "broker", 8883, "mqtts://broker:8883"),
        ("mqtts://broker:1883", "broker", 1883, "mqtts://broker:1883"),
    ],
)
def test_a_broker_s_address_is_read(url: str, host: str, port: int, shown: str) -> None:
    address = broker_address(url)
    assert (address.host, address.port, str(address)) == (host, port, shown)
    assert address.tls is url.startswith("mqtts:")


@pytest.mark.parametrize(
    "url",
    [
        "192.168.1.10", "http://broker", "mqttss://broker", "mqtt://", "mqtt://:1883",
        "mqtt://broker:0", "mqtt://broker:65536", "mqtt://broker:port", "mqtt://broker/topic",
        "mqtt://broker?x=1", "mqtt://broker#x", "mqtt://[::1", "mqtt://a..b", "mqtt://two words",
        "mqtt://" + 70 * "a", "mqtt://user:secret@broker", "mqtt://user@broker",
        "mqtt://:secret@broker",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example(tmp_path: Path, url: str) -> None:
    text = refusal(write(tmp_path, changed("mqtt://192.168.1.10:1883", url)))
    assert text.startswith("mqtt.url ")
    assert "mqtt://192.168.1.10:1883" in text


def test_a_password_in_the_url_is_not_repeated_in_the_error() -> None:
    with pytest.raises(SettingsError) as raised:
        broker_address("mqtt://user:secret@broker")
    assert "secret" not in str(raised.value)


@given(st.text() | st.text(alphabet="mqt:/@[]#?.0198é\u2100 ").map("mqtt://".__add__))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_address_or_a_settings_error(text: str) -> None:
    """A07."""
    try:
        address = broker_address(text)
    except SettingsError:
        return
    address.host.encode("idna")  # what the resolver does with it must not fail
    assert 0 < address.port < 65_536


KEYS = st.sampled_from(
    ["node", "bundle", "source", "mqtt", "id", "path", "kind", "rate_hz", "url", "drain_s", "x"]
)
LEAVES = (
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["file", "stdin", "pump-3", "mqtt://broker"]) | st.datetimes()
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
@settings(max_examples=400, deadline=None)
def test_any_toml_is_read_or_is_a_settings_error_of_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    """A07."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    inline = "\n".join(f"{key} = {as_toml(value)}" for key, value in content.items())
    path.write_text(inline, encoding="utf-8")
    text = f"{path}: read"
    try:
        load_settings(path)
    except SettingsError as error:
        text = str(error)
    assert text.startswith(f"{path}: ")
    assert len(text.splitlines()) == 1


def as_toml(value: object) -> str:
    """One value, tables inline. `msgspec.json` writes strings as TOML reads them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    return str(value).lower()
