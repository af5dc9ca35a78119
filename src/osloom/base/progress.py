"""What happens, as data: the layers below report events, only `cli` draws them."""

from typing import Literal, Protocol

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one piece of work, named by `id` for as long as it lasts."""

    kind: Literal["started", "advanced", "finished", "failed", "note"]
    id: str
    title: str = ""
    """What is being done, as people say it: `unpack bash 5.2.37-2`."""
    group: str = ""
    """What the work belongs to, for counting: `fetch`, `unpack`, an image's name."""
    total: int | None = None
    """Bytes to move in all, when known (`started`)."""
    amount: int = 0
    """Bytes moved since the last event (`advanced`)."""
    reused: bool = False
    """The result was in the store already (`finished`)."""
    seconds: float = 0.0


class Reporter(Protocol):
    """Takes events, from any thread."""

    def __call__(self, event: Event, /) -> None: ...


def silent(_event: Event, /) -> None:
    """The reporter that says nothing."""
