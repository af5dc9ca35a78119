"""What is raised where somebody else writes, too."""

from osloom.base.errors import FetchError


class ChangedError(FetchError):
    """A file is not what it was when it was read: another process has written it since."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"cannot write {place}: another process has changed it meanwhile",
            hint="look at what it has done, and run this again",
        )
