"""Whatever comes, in whatever order: a host has nothing to complain about, and every event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.sparkplug.state import Phase
from tests.edge.sparkplug.life import Life

if TYPE_CHECKING:
    from edge.sparkplug.datatypes import Value
    from edge.sparkplug.payload import Message


class EdgeNodeLife(RuleBasedStateMachine):
    """Links come and go, devices come and go, clocks are set, hosts ask and leave."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(primary_host=True, compact=True)
        self.will: Message | None = None
        self.numbers: dict[str, set[Value]] = {"a": set(), "b": set()}
        self.host_ms = 0

    @rule()
    @precondition(lambda self: self.life.state.phase is Phase.OFFLINE)
    def connect(self) -> None:
        """A session with its subscriptions."""
        self.will = self.life.connect()

    @rule(online=st.booleans(), late=st.booleans())
    def host(self, online: bool, late: bool) -> None:
        """The primary host says that it is there, or not."""
        self.host_ms += 10
        timestamp_ms = max(0, self.host_ms - (500 if late else 0))
        word = json.dumps({"online": online, "timestamp": timestamp_ms})
        self.life.state.host_said(word.encode())
        self.life.deliver()

    @rule(score=st.floats(0, 3), a=st.booleans(), b=st.booleans(), waiting=st.integers(0, 2))
    def update(self, score: float, a: bool, b: bool, waiting: int) -> None:
        """New values; microphones come and go."""
        self.life.update(waiting, score, a, b)

    @rule(device=st.sampled_from("ab"), dead_link=st.booleans())
    def happen(self, device: str, dead_link: bool) -> None:
        """An event; the link may be dead already, and only then found to be."""
        number = sum(map(len, self.numbers.values()))
        self.numbers[device].add(number)
        life = self.life
        if not dead_link:
            life.happen(device, number)
            return
        life.happened(device, number)
        life.deliver(lose=True)
        self.lose(told=False)

    @rule(told=st.booleans())
    @precondition(lambda self: self.life.state.phase is not Phase.OFFLINE)
    def lose(self, told: bool) -> None:
        """The link ends; the will comes now, or never."""
        self.life.lose(self.will if told else None)

    @rule()
    def rebirth(self) -> None:
        """A host has lost its place."""
        self.life.state.rebirth()

    @rule(step_s=st.sampled_from([-1e6, -1.0, 0.1, 1e6]))
    def set_clock(self, step_s: float) -> None:
        """Somebody sets it, or the network does."""
        self.life.utc_s += step_s

    @rule(seconds=st.sampled_from([0.01, 1.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        """Nothing else happens."""
        self.life.pass_time(seconds)
        self.life.turn()

    @invariant()
    def a_host_has_nothing_to_complain_about(self) -> None:
        """No gap, nothing before its birth, nothing unknown."""
        assert self.life.tracker.faults == []

    def teardown(self) -> None:
        """In the end, with everything there, the host has every event."""
        if self.life.state.phase is Phase.LEAVING:
            self.life.lose(None)
        if self.life.state.phase is Phase.OFFLINE:
            self.will = self.life.connect()
        self.life.pass_time(1.0)
        word = {"online": True, "timestamp": 10**9}
        self.life.state.host_said(json.dumps(word).encode())
        self.life.update(a=True, b=True)
        for _ in range(20):
            self.life.pass_time(0.1)
            self.life.turn()
        assert len(self.life.state.history) == 0
        for device, numbers in self.numbers.items():
            assert self.life.events(device) == numbers
        assert self.life.tracker.faults == []


TestEdgeNodeLife = EdgeNodeLife.TestCase
TestEdgeNodeLife.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
