"""Parts that the tests of delivery share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.edge.delivery.faults import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Broker


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    """A link to the broker that can be held and cut."""
    hop = Proxy(broker.port)
    yield hop
    hop.close()
