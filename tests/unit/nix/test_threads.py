"""How many threads bring store paths at once."""

import time

from osloom.sources.nix.threads import Threads


def test_who_waits_gets_more_threads_up_to_eight() -> None:
    threads = Threads()
    for count in (2, 4, 8, 8):
        time.sleep(0.06)
        threads.judge()
        assert threads.count == count


def test_who_is_busy_gets_none() -> None:
    threads = Threads()
    for _ in range(3):
        # What another process took away meanwhile counts as work: it was ready to go on.
        end = time.monotonic() + 0.06
        while time.monotonic() < end:
            pass
        threads.judge()
    assert threads.count == 1


def test_it_is_judged_after_a_while_alone() -> None:
    threads = Threads()
    for _ in range(10):
        threads.judge()
    assert threads.count == 1
