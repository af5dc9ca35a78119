"""References: the names of images in registries.

    reference  = [ registry "/" ] repository [ ":" tag ] [ "@" digest ]

The grammar is that of https://github.com/distribution/reference, and so is the meaning of a name
without a registry: `debian:13` is `docker.io/library/debian:13`.
"""

import re

import msgspec

from osloom.base.digest import Digest, is_digest
from osloom.base.errors import UsageError

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST = 255
"""Characters of a repository's name."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a registry; with neither tag nor digest it is a repository."""

    registry: str
    """A host with an optional port: `docker.io`, `localhost:5000`."""
    repository: str
    """`library/debian`."""
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest wins over the tag, as everywhere."""
        return self.digest or self.tag or DEFAULT_TAG


def parse_reference(text: str) -> Reference:
    """A reference as people write it. Raises UsageError with what is wrong about it."""
    if "://" in text:
        raise _wrong(text, "it is an address", f"leave `{text.partition('://')[0]}://` out")
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _wrong(
            text, f"`{digest}` is not a digest", "write `sha256:` and 64 digits of 0-9 and a-f"
        )
    name, tag = _divide_tag(rest)
    if tag is not None:
        check_tag(tag, text)
    registry, repository = _divide_registry(name)
    if not _REGISTRY.fullmatch(registry):
        raise _wrong(text, f"`{registry}` is not the name of a host", None)
    check_repository(repository, text)
    return Reference(
        registry=registry,
        repository=repository,
        tag=tag,
        digest=Digest(digest) if at else None,
    )


def parse_address(text: str) -> tuple[str, str]:
    """The registry and the beginning of its repositories' names, which may be empty.

    `registry.example.com/team` and `localhost:5000`: here the first part is always a registry.
    """
    if "://" in text:
        raise _wrong(text, "it is an address", f"leave `{text.partition('://')[0]}://` out")
    registry, slash, prefix = text.partition("/")
    if not _REGISTRY.fullmatch(registry):
        raise _wrong(text, f"`{registry}` is not the name of a host", None)
    if not _is_host(registry):
        raise _wrong(text, f"`{registry}` has no dot", f"did you mean `docker.io/{text}`?")
    if slash:
        check_repository(prefix, text)
    return (DOCKER_HUB if registry == "index.docker.io" else registry), prefix


def check_tag(tag: str, text: str | None = None) -> str:
    """The tag itself. Raises UsageError when it cannot be one."""
    if not _TAG.fullmatch(tag):
        hint = "letters, digits, `_`, `.` and `-`, at most 128, neither `.` nor `-` first"
        raise _wrong(tag if text is None else text, f"`{tag}` is not a tag", hint)
    return tag


def check_repository(name: str, text: str | None = None) -> str:
    """The name itself. Raises UsageError when no repository can have it."""
    if not _REPOSITORY.fullmatch(name):
        hint = "lower-case letters and digits, divided by `/`, `.`, `-`, `_` or `__`"
        if name.lower() != name and _REPOSITORY.fullmatch(name.lower()):
            hint = f"did you mean `{name.lower()}`?"
        raise _wrong(
            name if text is None else text, f"`{name}` is not the name of a repository", hint
        )
    if len(name) > _LONGEST:
        raise _wrong(
            name if text is None else text, f"its name has more than {_LONGEST} characters", None
        )
    return name


def _wrong(text: str, why: str, hint: str | None) -> UsageError:
    return UsageError(f"cannot read the reference `{text}`: {why}", hint=hint)


def _divide_tag(text: str) -> tuple[str, str | None]:
    """A colon before the last slash belongs to the registry's port."""
    before, colon, tag = text.rpartition(":")
    return (before, tag) if colon and "/" not in tag else (text, None)


def _divide_registry(name: str) -> tuple[str, str]:
    """As splitDockerDomain of distribution/reference does it."""
    first, slash, rest = name.partition("/")
    registry, repository = (first, rest) if slash and _is_host(first) else (DOCKER_HUB, name)
    if registry == "index.docker.io":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def _is_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost" or part != part.lower()
