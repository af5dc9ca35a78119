"""Live progress: one line a running step on a terminal, one line a finished step in a log."""

import sys
import threading
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

from osloom.cli.output import in_bytes, in_seconds

if TYPE_CHECKING:
    from rich.text import Text

    from osloom.base.progress import Event

_COUNTED = {"fetch": "file", "layer": "layer", "push": "blob", "read": "layer", "unpack": "package"}
"""Groups that a log counts and does not name one by one: there are hundreds. To what they are."""
_MOVED = ("fetch", "push")
"""Groups whose bytes go over the network; a command does one of them after the other."""


class PlainProgress:
    """For logs: a line when something that takes long has been done."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._flush()

    def __call__(self, event: "Event") -> None:
        with self._guard:
            if event.kind == "advanced":
                self._bytes[event.group] += event.amount
            elif event.kind == "finished" and event.group in _COUNTED:
                self._counts[event.group] += 1
            elif event.kind == "finished" and not event.reused:
                self._flush()
                self._say(f"{event.title} ({in_seconds(event.seconds)})")
            elif event.kind == "note":
                self._say(event.title)

    def _flush(self) -> None:
        for group, count in sorted(self._counts.items()):
            size = f", {in_bytes(self._bytes[group])}" if self._bytes[group] else ""
            verb = "write" if group == "layer" else group
            self._say(f"{verb} {count} {_COUNTED[group]}{'s' if count != 1 else ''}{size}")
        self._counts.clear()
        self._bytes.clear()

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class LiveProgress:
    """For terminals: what is running, bytes moved, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._guard = threading.Lock()
        self._starting = threading.Lock()
        self._running: dict[str, tuple[str, float]] = {}
        self._total = 0
        self._moved = 0
        self._moving = 0
        self._verb = ""
        self._started: float | None = None
        self._done: Counter[str] = Counter()
        self._live: Live = Live(
            console=Console(stderr=True),
            get_renderable=self._draw,
            refresh_per_second=8,
            transient=True,
        )

    def __enter__(self) -> "LiveProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: "Event") -> None:
        with self._starting:
            # Not before there is something to show: it starts a thread (`engine.process`).
            if not self._live.is_started:
                self._live.start()
        with self._guard:
            if event.kind == "started":
                self._start(event)
            elif event.kind == "advanced":
                self._moved += event.amount
            elif event.kind in ("finished", "failed"):
                self._running.pop(event.id, None)
                self._done[event.group] += 1
                self._moving -= event.group in _MOVED
            elif event.kind == "note":
                self._live.console.print(event.title, style="dim")

    def _start(self, event: "Event") -> None:
        if event.group in _MOVED:
            if self._verb != event.group:
                self._verb, self._total, self._moved, self._started = event.group, 0, 0, None
            self._total += event.total or 0
            self._moving += 1
            self._started = self._started or time.monotonic()
        self._running[event.id] = (event.title, time.monotonic())

    def _draw(self) -> "Text":
        from rich.text import Text

        with self._guard:
            lines = [self._bytes_line()] if self._moving else []
            now = time.monotonic()
            steps = [(title, now - since) for title, since in self._running.values()]
            lines += [f"  {title}  {in_seconds(seconds)}" for title, seconds in steps[:8]]
            if len(steps) > 8:
                lines.append(f"  and {len(steps) - 8} more")
        return Text("\n".join(lines))

    def _bytes_line(self) -> str:
        seconds = time.monotonic() - (self._started or time.monotonic())
        line = f"{self._verb} {in_bytes(self._moved)} of {in_bytes(self._total)}"
        if self._moved and seconds > 1:
            rate = self._moved / seconds
            left = max(self._total - self._moved, 0) / rate
            line += f", {in_bytes(rate)}/s, {in_seconds(left)} left"
        return line


class JsonProgress:
    """For programs: one JSON object a line on stderr."""

    def __init__(self) -> None:
        self._guard = threading.Lock()

    def __enter__(self) -> "JsonProgress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: "Event") -> None:
        import json

        fields = {
            "event": event.kind,
            "title": event.title,
            "group": event.group,
            "total": event.total,
            "amount": event.amount,
            "seconds": round(event.seconds, 3),
        }
        with self._guard:
            print(json.dumps(fields), file=sys.stderr, flush=True)


def make_progress(kind: str) -> PlainProgress | LiveProgress | JsonProgress:
    """`auto` is live on a terminal and plain elsewhere."""
    match kind:
        case "json":
            return JsonProgress()
        case "live":
            return LiveProgress()
        case "auto" if sys.stderr.isatty():
            return LiveProgress()
        case _:
            return PlainProgress()
