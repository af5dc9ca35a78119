"""What an application's packages say of how it runs: data between composing and assembling."""

import msgspec


class Derived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Defaults of the image configuration. What the definition says goes before them."""

    entrypoint: tuple[str, ...] = ()
    user: str | None = None
    """`UID:GID`."""
    environment: dict[str, str] = {}
    path: tuple[str, ...] = ()
    """Directories of programs that go before the distribution's in PATH."""
    working_directory: str | None = None
    stop_signal: str | None = None
    directories: tuple[str, ...] = ()
    """That are made for the program, with their leading slashes."""
    volumes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    title: str = ""
    """The package."""
    description: str = ""
    """Its one-line description."""
    notes: tuple[str, ...] = ()
    """What the user should know: a sentence each."""
