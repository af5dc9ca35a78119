"""Where in a disk's file something goes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A partition: `size` bytes of the file `path` from `offset` on."""

    path: Path
    """In the step's working directory."""
    offset: int
    size: int
