"""How many threads bring store paths at once: more where they wait for the network.

Those that unpack wait for each other: eight took a quarter more processor time than one.
"""

import time
from pathlib import Path

MOST = 8
PAUSE = 0.05
"""Seconds for which is measured whether this process waits."""
_BUSY = 0.7
"""Of the time: a process that is busy for more of it has nothing to gain from another thread."""


class Threads:
    """How many are worth it now, at least one."""

    def __init__(self) -> None:
        self.count = 1
        self._start, self._busy = time.monotonic(), _busy_seconds()

    def judge(self) -> None:
        """To be called now and then."""
        now = time.monotonic()
        if now - self._start < PAUSE:
            return
        busy = _busy_seconds()
        # Less than nothing where threads have ended.
        if 0 <= busy - self._busy < _BUSY * (now - self._start):
            self.count = min(self.count * 2, MOST)
        self._start, self._busy = now, busy


def _busy_seconds() -> float:
    """For how long threads of this process ran, or would have had they been given a processor.

    https://docs.kernel.org/scheduler/sched-stats.html, /proc/PID/schedstat.
    """
    try:
        lines = [(task / "schedstat").read_text() for task in Path("/proc/self/task").iterdir()]
    except OSError:  # a kernel without it, or a thread that ends
        return time.process_time()
    return sum(int(number) for line in lines for number in line.split()[:2]) / 1e9
