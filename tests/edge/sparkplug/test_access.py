"""A broker with an access list: the rights in the document are enough; what is refused is said."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.delivery.trouble import Kind
from edge.sparkplug.datatypes import DataType
from tests.conftest import free_port, run_mosquitto
from tests.edge.delivery.test_listen import wait_until
from tests.edge.sparkplug.host import Host
from tests.edge.sparkplug.parts import anomaly, running, settings
from tests.edge.sparkplug.test_catalogue import DOCUMENT

if TYPE_CHECKING:
    from pathlib import Path

HOST = "user scada\ntopic readwrite spBv1.0/#\n"


def documented() -> str:
    """The lines of the document, for the group of the tests."""
    (lines,) = re.findall(r"```\n(user pump-3\n.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    return str(lines).replace("plant-1", "plant")


def rules(folder: Path, text: str) -> str:
    """A line of the broker's configuration."""
    path = folder / "acl"
    path.write_text(text + HOST)
    return f"acl_file {path}"


def test_the_rights_in_the_document_are_enough(tmp_path: Path) -> None:
    with (
        run_mosquitto(tmp_path, free_port(), rules(tmp_path, documented())) as broker,
        Host(broker.port, "scada") as host,
        running(tmp_path, broker.url, settings(primary_host="scada"), username="pump-3") as node,
    ):
        host.state("scada", 1_000, online=True)
        wait_until(lambda: host.tracker.devices.get("motor"))
        node.event(anomaly(1))
        wait_until(lambda: 1 in host.tracker.values("gearbox", "Event/Sequence"))
        host.write("gearbox", "Command/Acknowledge", DataType.BOOLEAN, value=True)
        wait_until(node.commands)
        host.state("scada", 2_000, online=False)
        wait_until(lambda: not host.tracker.online)
        assert host.tracker.faults == []


def refuse_subscriptions(server: socket.socket) -> None:
    """A broker that accepts CONNECT and grants one of two subscriptions, as some do.

    mosquitto's access list grants every subscription and keeps the messages back.
    """
    with suppress(OSError):
        while True:
            node, _ = server.accept()
            with node:
                node.recv(4_096)
                node.sendall(b"\x20\x02\x00\x00")
                packet_id = node.recv(4_096)[2:4]
                node.sendall(b"\x90\x04" + packet_id + b"\x01\x80")
                node.recv(4_096)


def test_without_the_right_to_commands_the_node_is_not_born_and_says_why(tmp_path: Path) -> None:
    """Hosts could not ask it for a rebirth, and would not trust it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse_subscriptions, args=(server,), daemon=True).start()
        with running(tmp_path, f"mqtt://127.0.0.1:{server.getsockname()[1]}") as node:
            wait_until(lambda: node.trouble)
            assert node.trouble is not None
            assert node.trouble.kind is Kind.ACL
            assert node.state.births == 0
        server.shutdown(socket.SHUT_RDWR)
