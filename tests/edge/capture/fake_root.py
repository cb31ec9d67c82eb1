"""A fake `/proc/asound` and `/sys` with the sound cards of a Raspberry Pi or a Jetson.

It writes what the kernel writes, in the kernel's forms: ids are made of the last word of the name
and get `_1` when they are taken (sound/core/init.c), texts are cut at the kernel's lengths,
`/sys/class/sound/cardN` leads to the USB interface. So ids of twins depend on which is found first.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PI4 = "platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0"
PI5_FIRST = "platform/axi/1000120000.pcie/1f00200000.usb/xhci-hcd.0"
PI5_SECOND = "platform/axi/1000120000.pcie/1f00300000.usb/xhci-hcd.1"
JETSON = "platform/bus@0/3610000.usb"
CLOSED = "closed\n"


@dataclass(frozen=True)
class Hardware:
    """A sound card as a thing: what stays the same when it gets another number."""

    name: str
    driver: str = "USB-Audio"
    maker: str = ""
    port: str | None = None  # "1-1.2"
    controller: str = PI4
    model: str | None = None  # "0d8c:0014"
    serial: str | None = None
    inputs: tuple[int, ...] = ()  # device numbers
    outputs: tuple[int, ...] = ()
    pcm: str = "USB Audio"
    own_id: str | None = None  # given by a udev rule

    @property
    def long_name(self) -> str:
        """As snd-usb-audio makes it, cut at 79 characters; other drivers repeat the name."""
        if self.port is None:
            return self.maker or self.name
        host, ports = self.controller.rpartition("/")[2], self.port.partition("-")[2]
        return f"{self.maker} {self.name} at usb-{host}-{ports}, full speed"[:79]


HEADPHONES = Hardware(
    "bcm2835 Headphones", "bcm2835_headpho", outputs=(0,), pcm="bcm2835 Headphones"
)
HDMI_0 = Hardware("vc4-hdmi-0", "vc4-hdmi", outputs=(0,), pcm="MAI PCM i2s-hifi-0")
HDMI_1 = Hardware("vc4-hdmi-1", "vc4-hdmi", outputs=(0,), pcm="MAI PCM i2s-hifi-0")
HIFIBERRY = Hardware(
    "snd_rpi_hifiberry_dacplusadc",
    "RPi-simple",
    inputs=(0,),
    outputs=(0,),
    pcm="HiFiBerry DAC+ADC HiFi multicodec-0",
)
LOOPBACK = Hardware(
    "Loopback", "Loopback", "Loopback 1", inputs=(0, 1), outputs=(0, 1), pcm="Loopback PCM"
)
DUMMY = Hardware("Dummy", "Dummy", "Dummy 1", inputs=(0,), outputs=(0,), pcm="Dummy PCM")
JETSON_APE = Hardware(
    "NVIDIA Jetson Orin Nano APE",
    "tegra-ape",
    inputs=(0, 1),
    outputs=(0, 1),  # of twenty
)
MIDI = Hardware(
    "APC mini mk2", maker="AKAI professional", port="1-1.4", model="09e8:004f", pcm="none"
)


def c_media(port: str = "1-1.2", *, controller: str = PI4, own_id: str | None = None) -> Hardware:
    """The cheap USB microphone that many nodes have: mono, no serial number."""
    return Hardware(
        "USB PnP Sound Device",
        maker="C-Media Electronics Inc.",
        port=port,
        controller=controller,
        model="0d8c:0014",
        inputs=(0,),
        outputs=(0,),
        own_id=own_id,
    )


def audiomoth(port: str = "1-1.1", serial: str | None = "240F120A5F8A1B2C") -> Hardware:
    """A USB microphone with a serial number, input only."""
    return Hardware(
        "384kHz AudioMoth USB Microphone",
        maker="openacousticdevices.info",
        port=port,
        model="16d0:06f3",
        serial=serial,
        inputs=(0,),
    )


class FakeRoot:
    """Writes `proc` and `sys` below a folder, anew at each boot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._asound = path / "proc/asound"

    def boot(self, cards: dict[int, Hardware]) -> FakeRoot:
        """These cards by number, found in the order of the dict."""
        for old in ("proc", "sys"):
            shutil.rmtree(self.path / old, ignore_errors=True)
        self._asound.mkdir(parents=True)
        ids: dict[int, str] = {}
        for index, card in cards.items():
            ids[index] = _free_id(card, set(ids.values()))
            self._write_proc(index, card, ids[index])
            self._write_sys(index, card)
        self._write_listings(cards, ids)
        return self

    def vanish(self, index: int) -> None:
        """The card's folders are gone, the listing that was read before still has it."""
        shutil.rmtree(self._asound / f"card{index}")
        (self.path / f"sys/class/sound/card{index}").unlink()

    def hold(self, index: int, thread_id: int, device: int = 0) -> None:
        """A thread has opened the input, as `cat .../status` shows it."""
        status = f"state: RUNNING\nowner_pid   : {thread_id}\ntrigger_time: 53.217440000\n"
        (self._asound / f"card{index}/pcm{device}c/sub0/status").write_text(status)

    def _write_listings(self, cards: dict[int, Hardware], ids: dict[int, str]) -> None:
        listing = "".join(
            f"{index:2d} [{ids[index]:<15}]: {card.driver[:15]} - {card.name[:31]}\n"
            f"                      {card.long_name}\n"
            for index, card in sorted(cards.items())
        )
        text = listing or "--- no soundcards ---\n"
        (self._asound / "cards").write_text(text, encoding="utf-8")
        pcm = ""
        for index, card in sorted(cards.items()):
            for device in sorted({*card.inputs, *card.outputs}):
                pcm += f"{index:02d}-{device:02d}: {card.pcm} : {card.pcm}"
                pcm += " : playback 1" if device in card.outputs else ""
                pcm += " : capture 1\n" if device in card.inputs else "\n"
        (self._asound / "pcm").write_text(pcm)

    def _write_proc(self, index: int, card: Hardware, card_id: str) -> None:
        folder = self._asound / f"card{index}"
        folder.mkdir()
        (folder / "id").write_text(f"{card_id}\n")
        (self._asound / card_id).symlink_to(f"card{index}")
        if card.model:
            (folder / "usbid").write_text(f"{card.model}\n")
        for suffix, devices in (("c", card.inputs), ("p", card.outputs)):
            for device in devices:
                substream = folder / f"pcm{device}{suffix}/sub0"
                substream.mkdir(parents=True)
                (substream / "status").write_text(CLOSED)

    def _write_sys(self, index: int, card: Hardware) -> None:
        device = self.path / "sys/devices" / self._device_path(card)
        (device / f"sound/card{index}").mkdir(parents=True)
        (device / f"sound/card{index}/device").symlink_to(f"../../../{device.name}")
        link = self.path / f"sys/class/sound/card{index}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(device / f"sound/card{index}", link.parent))
        if card.port and card.model:
            vendor, product = card.model.split(":")
            (device.parent / "idVendor").write_text(f"{vendor}\n")
            (device.parent / "idProduct").write_text(f"{product}\n")
            if card.serial:
                (device.parent / "serial").write_text(f"{card.serial}\n")

    @staticmethod
    def _device_path(card: Hardware) -> str:
        if card.port is None:
            return f"platform/{card.name.replace(' ', '_')}.0"
        bus, _, ports = card.port.partition("-")
        steps = ports.split(".")
        hubs = "/".join(f"{bus}-{'.'.join(steps[: i + 1])}" for i in range(len(steps)))
        return f"{card.controller}/usb{bus}/{hubs}/{card.port}:1.0"


def _free_id(card: Hardware, taken: set[str]) -> str:
    if card.own_id:
        return card.own_id
    words = re.split(r"\s(?=[A-Za-z0-9])", card.name[:31])
    letters = re.sub(r"[^A-Za-z0-9]", "", words[-1])
    if letters[0].isdigit():
        letters = (card.name[0] if card.name[0].isalpha() else "D") + letters
    card_id, number = letters[:15], 0
    while card_id in taken:
        number += 1
        card_id = f"{letters[: 15 - 2]}_{number:X}"
    return card_id
