"""Parts that the tests of delivery share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.quiet import Thinned
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


@pytest.fixture(autouse=True)
def _every_line(caplog: pytest.LogCaptureFixture) -> None:
    """A command that another test ran in this process has thinned out what `caplog` sees."""
    for thinning in [one for one in caplog.handler.filters if isinstance(one, Thinned)]:
        caplog.handler.removeFilter(thinning)
