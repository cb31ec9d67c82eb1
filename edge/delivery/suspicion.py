"""Which message is to blame when a broker refuses, or ends the connection after something sent.

MQTT 3.1.1 has no other way to say "too large" than to hang up, and links break by themselves. So:
all that was in flight is suspect (one attempt); a suspect is then sent alone, so that the next end
is its own (two); before its last chance the connection must have held for a while (three).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.delivery.trouble import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge.delivery.flights import Flight
    from edge.delivery.records import Waiting
    from edge.delivery.session import Session

MAX_ATTEMPTS = 3
BLAME_S = 2.0  # a connection that ends later than this after a message ended for another reason
QUIET_S = 5.0  # how long a connection must have held before a last chance
ALONE_S = 1.5  # a suspect that is neither acknowledged nor fatal by then is let be
BLAMED_KINDS = {Kind.GONE, Kind.PROTOCOL}


def suspects(session: Session, flights: Collection[Flight]) -> list[Flight]:
    """Of what was in flight when a session ended, those whose attempt failed by that."""
    if session.ended is None or session.ended.kind not in BLAMED_KINDS:
        return []
    alone = len(flights) == 1
    return [
        flight
        for flight in flights
        if session.ended_s - flight.sent_s <= BLAME_S
        and (alone or flight.message.attempts == 0)
        and not must_wait(flight.message, session, flight.sent_s)
    ]


def held(session: Session, now_s: float) -> bool:
    """Whether a connection has held for a while."""
    return now_s - session.ready_s >= QUIET_S


def must_wait(message: Waiting, session: Session, now_s: float) -> bool:
    """Whether a message's last chance comes later, when the connection has held for a while."""
    return message.attempts >= MAX_ATTEMPTS - 1 and not held(session, now_s)
