"""An MQTT broker inside this process, on loopback, for the demo. Not for the field."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

from edge.errors import EarpatchError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class DemoBroker:
    """Runs amqtt in a thread; use it as a context manager.

    Raises:
        EarpatchError: on entry, when amqtt is missing or does not start.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._broker: Any = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self.url = f"mqtt://127.0.0.1:{_free_port()}"

    def __enter__(self) -> DemoBroker:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S) or self._failure is not None:
            raise EarpatchError(f"the demo's MQTT broker did not start: {self._failure}")
        return self

    def __exit__(self, *_: object) -> None:
        stopping = asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop)
        try:
            stopping.result(STOP_TIMEOUT_S)
        except TimeoutError:
            logging.getLogger(__name__).warning("the demo's broker did not stop in time")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except Exception as error:  # noqa: BLE001  (handed to the thread that waits)
            self._failure = error
            self._started.set()
            return
        self._started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        from amqtt.broker import Broker  # noqa: PLC0415

        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": self.url.removeprefix("mqtt://")}},
                "plugins": {
                    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
                },
            }
        )
        await self._broker.start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
