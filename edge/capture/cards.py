"""The sound cards of this computer, and the USB port behind each of them.

Read from `/proc/asound` and `/sys/class/sound` alone: nothing is opened, so nothing gets busy. A
card's number holds until the next boot, plug or module; its USB port holds as long as nobody moves
the cable.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

VIRTUAL_DRIVERS = {"Loopback": "loopback device", "Dummy": "dummy device"}  # snd-aloop, snd-dummy

# sound/core/init.c: " 1 [Device         ]: USB-Audio - USB PnP Sound Device", then the long name.
_CARD = re.compile(r" ?(?P<index>\d+) \[(?P<id>.+?) *\]: (?P<driver>.*?) - (?P<name>.*)")
# sound/core/pcm.c: "01-00: USB Audio : USB Audio : playback 1 : capture 1"
_PCM = re.compile(r"(\d+)-(\d+): .*?( : playback \d+)?( : capture \d+)?")
_USB_DEVICE = re.compile(r"(?P<bus>\d+)-(?P<ports>\d+(\.\d+)*)")
_USB_ROOT_HUB = re.compile(r"usb\d+")
# Platform controllers that count themselves as they are probed; the parent has an address.
_COUNTED = re.compile(r"[a-z_-]+\.\d+(\.auto)?")


class UsbPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a USB device is plugged in, and what it says about itself."""

    port: str  # bus number, then the port of each hub: "1-1.2", as the kernel's log has it
    controller: str | None = None  # by its address on the board: "0000:01:00.0", "1f00200000.usb"
    vendor_product: str | None = None  # "0d8c:0014"
    serial: str | None = None

    @property
    def port_names(self) -> tuple[str, ...]:
        """Texts for the port: by controller where known, then by bus.

        Bus numbers follow the order in which controllers are probed. A Raspberry Pi 5 has two, so
        the controller's address is the safer text.
        """
        ports = self.port.partition("-")[2]
        by_controller = (f"{self.controller}-{ports}",) if self.controller else ()
        return (*by_controller, self.port)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One sound card as it is now."""

    index: int  # never an identity: it changes from boot to boot
    id: str  # ALSA's, at most 15 characters; a second card of the same model gets "_1"
    name: str
    long_name: str
    driver: str
    capture_devices: tuple[int, ...] = ()
    playback_devices: tuple[int, ...] = ()
    usb_port: str | None = None  # "1-1.2"
    usb_port_names: tuple[str, ...] = ()  # texts for that port, the most stable first
    vendor_product: str | None = None  # "0d8c:0014"
    serial: str | None = None  # cheap devices have none, or all the same

    @property
    def captures(self) -> bool:
        """Whether it has a sound input."""
        return bool(self.capture_devices)

    @property
    def virtual(self) -> str | None:
        """What it is if there is no hardware behind it, else None."""
        return VIRTUAL_DRIVERS.get(self.driver)

    @property
    def names(self) -> tuple[str, ...]:
        """Every text that the configuration may use for this card, the most specific first."""
        ports = tuple(f"port:{name}" for name in self.usb_port_names)
        model = f"usb:{self.vendor_product}" if self.vendor_product else None
        numbered = f"{model}:{self.serial}" if model and self.serial else model
        return (*ports, *([numbered] if numbered else []), f"card:{self.id}")

    @property
    def identity(self) -> str:
        """The most specific text: it means this card after each boot and beside its twins."""
        return self.names[0]

    def describe(self) -> str:
        """One line for a person: the name, and what to write for it."""
        return f"{self.name} ({', '.join(self.names)})"


def list_cards(root: Path = Path("/")) -> list[Card]:
    """The cards that are here now, in the kernel's order. A card that just vanishes is left out.

    Args:
        root: folder that holds `proc` and `sys`.
    """
    listing = read_kernel_file(root / "proc/asound/cards") or ""
    capture, playback = _pcm_devices(read_kernel_file(root / "proc/asound/pcm") or "")
    cards = []
    for index, words in _entries(listing):
        usb = _usb_place(root, index)
        # Last of all: whatever was read under this number belongs to the card of this id.
        if _read_word(root / f"proc/asound/card{index}/id") != words["id"]:
            continue
        card = Card(
            index=index,
            capture_devices=tuple(capture.get(index, ())),
            playback_devices=tuple(playback.get(index, ())),
            usb_port=usb.port if usb else None,
            usb_port_names=usb.port_names if usb else (),
            vendor_product=_vendor_product(root, index, usb),
            serial=usb.serial if usb else None,
            **words,
        )
        cards.append(card)
    return cards


def alsa_name(card: Card, device: int | None = None) -> str:
    """What ALSA calls a device of a card by id, so that no number of a card is in it.

    Args:
        card: the card.
        device: which of its devices; the first that captures unless told.
    """
    return f"hw:CARD={card.id},DEV={first_capture_device(card) if device is None else device}"


def first_capture_device(card: Card) -> int:
    """The number of the first device that captures; 0 if none does."""
    return min(card.capture_devices, default=0)


def read_kernel_file(path: Path) -> str | None:
    """A small file of the kernel's, or None: cards and processes vanish while looked at."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _entries(listing: str) -> Iterator[tuple[int, dict[str, str]]]:
    lines = listing.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if found := _CARD.fullmatch(line):
            words = {key: printable(found[key].strip()) for key in ("id", "driver", "name")}
            yield int(found["index"]), {**words, "long_name": printable(following.strip())}


def _pcm_devices(text: str) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Device numbers by card: those that capture, those that play."""
    capture: dict[int, list[int]] = {}
    playback: dict[int, list[int]] = {}
    for line in text.split("\n"):
        if found := _PCM.fullmatch(line):
            card, device = int(found[1]), int(found[2])
            for present, devices in ((found[4], capture), (found[3], playback)):
                if present:
                    devices.setdefault(card, []).append(device)
    return capture, playback


def _usb_place(root: Path, index: int) -> UsbPlace | None:
    """From `.../0000:01:00.0/usb1/1-1/1-1.2/1-1.2:1.0`, where `device` leads."""
    path = Path(os.path.realpath(root / f"sys/class/sound/card{index}/device"))
    folders = (path, *path.parents)
    hub = next((folder for folder in folders if _USB_ROOT_HUB.fullmatch(folder.name)), None)
    device = next((folder for folder in folders if _USB_DEVICE.fullmatch(folder.name)), None)
    if hub is None or device is None:
        return None
    vendor, product = _read_word(device / "idVendor"), _read_word(device / "idProduct")
    return UsbPlace(
        port=device.name,
        controller=_controller(hub.parent),
        vendor_product=f"{vendor}:{product}".lower() if vendor and product else None,
        serial=_read_word(device / "serial"),
    )


def _controller(folder: Path) -> str:
    parent = folder.parent.name
    counted = _COUNTED.fullmatch(folder.name) and any(c.isdigit() for c in parent)
    return parent if counted else folder.name


def _vendor_product(root: Path, index: int, usb: UsbPlace | None) -> str | None:
    if usb and usb.vendor_product:
        return usb.vendor_product
    found = _read_word(root / f"proc/asound/card{index}/usbid")  # where /sys is hidden
    return found.lower() if found else None


def _read_word(path: Path) -> str | None:
    text = read_kernel_file(path)
    return printable(text.strip()) or None if text else None
