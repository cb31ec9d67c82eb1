"""Beside the loop: one thing at a time, and what came of it is handed over there."""

from __future__ import annotations

import threading

from edge.worker import Worker
from tests.edge.delivery.test_listen import DEADLINE_S, wait_until


def test_what_is_done_in_a_thread_is_handed_over_by_the_loop() -> None:
    worker, go_on, threads = Worker(), threading.Event(), list[int]()

    def then() -> None:
        threads.append(threading.get_ident())

    def do() -> object:
        go_on.wait(DEADLINE_S)
        threads.append(threading.get_ident())
        return then

    worker.begin(do)  # type: ignore[arg-type]
    worker.work()
    assert (worker.busy, threads) == (True, [])
    go_on.set()
    wait_until(lambda: not worker.busy, worker.work)
    assert len(set(threads)) == 2
    assert threads[1] == threading.get_ident()


def test_one_thing_may_begin_the_next() -> None:
    worker, done = Worker(), list[str]()

    def first() -> None:
        done.append("first")
        worker.begin(lambda: lambda: done.append("second"))

    worker.begin(lambda: first)
    wait_until(lambda: not worker.busy, worker.work)
    assert done == ["first", "second"]
