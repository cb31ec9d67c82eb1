"""The program that listens: a child of the node, made to be killed.

PortAudio can block for ever in open, read, stop and close, crashes when a sound server dies, and
knows only the devices that were there when it began. So it lives here, in a process that the node
can end at any time and start afresh. Raw interleaved float32 goes to standard output; what happens
is told on standard error, one JSON object a line behind `earpatch `, among whatever ALSA writes.

    python -m edge.capture.portaudio_child '{"name": "hw:1,0", "rate_hz": 48000, ...}'
    python -m edge.capture.portaudio_child --list
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
from typing import Any

MARK = "earpatch "
FALL_BACK_HZ = (48_000, 44_100, 32_000, 16_000)
BUFFER_S = 0.05
QUEUED_BUFFERS = 60  # 3 s: what the node doesn't take in that time is lost, and said
WAIT_S = 0.5
MOST_NATIVE = 8  # channels; a device that claims more is a sound server, which mixes down itself
INVALID_RATE, INVALID_CHANNELS = -9997, -9998
PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """List the devices, or listen to one until the node goes away."""
    _end_with_the_node()
    import pyaudio  # noqa: PLC0415

    if sys.argv[1:] == ["--list"]:
        audio = pyaudio.PyAudio()
        _tell(devices=_devices(audio, pyaudio, rates=True))
        return 0
    wanted = json.loads(sys.argv[1])
    audio = pyaudio.PyAudio()
    device = _pick(_devices(audio, pyaudio), wanted["name"])
    if isinstance(device, str):
        _tell(failed="absent", reason=device)
        return 1
    return _listen(pyaudio, audio, device, wanted)


def _end_with_the_node() -> None:
    """A node that is killed leaves no child behind that hangs in `open` and holds the microphone.

    The signal comes when the thread ends that started this process, which is the capture's.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _devices(audio: Any, pyaudio: Any, *, rates: bool = False) -> list[dict[str, Any]]:
    """Every device that PortAudio knows, with its index."""
    found = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        device = {
            "index": index,
            "name": str(info["name"]),
            "channels": int(info["maxInputChannels"]),
            "rate_hz": int(info["defaultSampleRate"]),
        }
        if rates and device["channels"]:
            device["rates_hz"] = [r for r in FALL_BACK_HZ if _supports(audio, pyaudio, device, r)]
        found.append(device)
    return found


def _supports(audio: Any, pyaudio: Any, device: dict[str, Any], rate_hz: int) -> bool:
    try:
        audio.is_format_supported(
            rate_hz,
            input_device=device["index"],
            input_channels=_channel_counts(device, 0)[0],
            input_format=pyaudio.paFloat32,
        )
    except ValueError:
        return False
    return True


def _pick(devices: list[dict[str, Any]], name: str) -> dict[str, Any] | str:
    """The device whose name holds `name`, or the default one; a text when there is none."""
    able = [d for d in devices if d["channels"]]
    others = ", ".join(f"{d['name']} (output only)" for d in devices if not d["channels"])
    seen = ", ".join(d["name"] for d in able) + (f"; skipped: {others}" if others else "")
    if not able:
        return f"PortAudio sees no device that can record; it sees {others or 'none at all'}"
    if not name:
        usable = [d for d in able if "loopback" not in d["name"].lower()]
        preferred = [d for d in usable if d["name"] == "default"]
        return (preferred or usable)[0] if usable else f"only loopback devices: {seen}"
    fitting = [d for d in able if name.lower() in d["name"].lower()]
    return fitting[0] if fitting else f"PortAudio doesn't list {name!r}; it lists {seen}"


def _channel_counts(device: dict[str, Any], channel: int) -> list[int]:
    """What to try: all that the hardware has first, since not every card has fewer."""
    most = device["channels"]
    counts = [most, 2, 1] if most <= MOST_NATIVE else [max(1, channel), 2, most]
    return [n for n in dict.fromkeys(counts) if max(1, channel) <= n <= most] or [most]


def _listen(pyaudio: Any, audio: Any, device: dict[str, Any], wanted: dict[str, Any]) -> int:
    buffers: queue.Queue[tuple[bytes, bool]] = queue.Queue(QUEUED_BUFFERS)
    lost = [False]

    def heard(data: bytes, _frames: int, _times: Any, flags: int) -> tuple[None, int]:
        overflowed = bool(flags & pyaudio.paInputOverflow) or lost[0]
        try:
            buffers.put_nowait((data, overflowed))
            lost[0] = False
        except queue.Full:
            lost[0] = True
        return None, pyaudio.paContinue

    opened = _open(pyaudio, audio, device, wanted, heard)
    if isinstance(opened, str):
        return 1
    frame_bytes = 4 * opened["channels"]
    _tell(opened=opened)
    parent, frames = os.getppid(), 0
    while os.getppid() == parent:
        try:
            data, overflowed = buffers.get(timeout=WAIT_S)
        except queue.Empty:
            continue
        if overflowed:
            _tell(overflow_at=frames)
        _write(data)
        frames += len(data) // frame_bytes
    return 0


def _open(
    pyaudio: Any, audio: Any, device: dict[str, Any], wanted: dict[str, Any], heard: Any
) -> dict[str, Any] | str:
    """Open at the rate asked for, the device's own, or the usual ones; or say why not."""
    name, channel = device["name"], wanted["channel"]
    if channel > device["channels"]:
        reason = f"{name}: channel {channel} is asked for, and it has {device['channels']}"
        _tell(failed="refused", reason=reason)
        return reason
    reason, tried = "", []
    for rate_hz in dict.fromkeys([wanted["rate_hz"], device["rate_hz"], *FALL_BACK_HZ]):
        for channels in _channel_counts(device, channel):
            try:
                audio.open(
                    rate=rate_hz,
                    channels=channels,
                    format=pyaudio.paFloat32,
                    input=True,
                    input_device_index=device["index"],
                    frames_per_buffer=round(BUFFER_S * rate_hz),
                    stream_callback=heard,
                )
            except (OSError, ValueError) as error:  # noqa: PERF203  (each is tried)
                text = " ".join(str(part) for part in error.args)
                reason = reason or text
                tried.append(f"{rate_hz} Hz x {channels}")
                if INVALID_RATE not in error.args and INVALID_CHANNELS not in error.args:
                    _tell(failed="busy", reason=f"{name}: {text}")
                    return text
            else:
                return {"device": name, "rate_hz": rate_hz, "channels": channels}
    _tell(failed="refused", reason=f"{name}: {reason}; tried {', '.join(tried)}")
    return reason


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _tell(**what: Any) -> None:
    sys.stderr.write(MARK + json.dumps(what) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the node has gone
        os._exit(0)
