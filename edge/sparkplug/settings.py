"""[sparkplug]: whether and how the node is a Sparkplug B edge node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from edge.delivery.settings import LEVEL, check_broker
from edge.errors import SettingsError
from edge.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.delivery.settings import MqttSettings

# A level of a topic: the specification forbids '+', '/' and '#'.
SparkplugId = Annotated[str, Meta(pattern=rf"^{LEVEL}\Z", max_length=128)]
Url = Annotated[str, Meta(max_length=512)]
Seconds = Annotated[float, Meta(ge=1, le=3_600)]


class SparkplugSettings(Section, frozen=True):
    """[sparkplug]."""

    enabled: bool = False
    group: SparkplugId = "earpatch"
    edge_node: SparkplugId | None = None  # the node's id unless said
    primary_host: SparkplugId | None = None  # births wait until this host says that it is there
    brokers: Annotated[tuple[Url, ...], Meta(max_length=16)] = ()  # in turn; the one of [mqtt]
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    compact: bool = False  # aliases instead of names in DATA; some readers can't read that
    # How much a value must change to be told again, and how often at most:
    every_s: Annotated[float, Meta(ge=0, le=3_600)] = 1.0
    score_deadband: Annotated[float, Meta(ge=0, le=10)] = 0.05  # always when it crosses 1
    level_deadband_db: Annotated[float, Meta(ge=0, le=60)] = 1.0
    false_alarms_deadband: Annotated[float, Meta(ge=0, le=10)] = 0.2  # a share
    load_deadband: Annotated[float, Meta(ge=0, le=1)] = 0.05
    host_wait_s: Seconds = 10.0  # for the primary host, before the next of several brokers

    def servers(self, mqtt: MqttSettings) -> list[MqttSettings]:
        """The brokers, in turn; with the user, password and certificates of [mqtt].

        Raises:
            SettingsError: one of them is no broker's address, or is there twice.
        """
        if len(set(self.brokers)) < len(self.brokers):
            raise SettingsError("sparkplug.brokers: one of them is there twice")
        urls = self.brokers or (mqtt.url,)
        servers = [msgspec.structs.replace(mqtt, url=url) for url in urls]
        try:
            for server in servers:
                check_broker(server)
        except SettingsError as error:
            raise SettingsError(f"sparkplug.brokers: {error}") from None
        return servers

    def check(self, mqtt: MqttSettings, devices: Sequence[str]) -> None:
        """What the keys can't say one by one.

        Raises:
            SettingsError: of the brokers, or two names that a host may take for one.
        """
        self.servers(mqtt)
        if len({name.casefold() for name in devices}) < len(devices):
            raise SettingsError(
                "[sparkplug]: the names of two inputs differ only by upper and lower case, and "
                "hosts may take them for one device"
            )
