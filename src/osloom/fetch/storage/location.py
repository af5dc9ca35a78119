"""Where files are kept by name: the addresses of directories, web servers and S3 buckets.

    /srv/cache                     a directory
    file:///srv/cache              the same
    https://cache.example.com      a web server
    s3://BUCKET/PREFIX?region=R    an S3 bucket; also `endpoint`, `scheme`, `profile`

The parameters are those of Nix's stores, nix3-help-stores; what others it has is passed over.
"""

from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from osloom.base.addresses import without_login
from osloom.base.errors import FetchError

_REGION = "us-east-1"
"""Of those who do not say it, as S3 itself and Nix have it."""


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """One address, taken apart."""

    text: str
    """As people wrote it, without its parameters."""
    kind: Literal["directory", "web", "s3"]
    base: str
    """The directory, or the address that names are put behind; without a slash at its end."""
    parameters: dict[str, str] = {}

    def below(self, name: str) -> "Location":
        """A directory in it."""
        return msgspec.structs.replace(
            self, text=f"{self.text.rstrip('/')}/{name}", base=f"{self.base}/{name}"
        )

    @property
    def region(self) -> str:
        return self.parameters.get("region") or _REGION


def is_location(text: str) -> bool:
    """Whether `text` is of a kind that `parse_location` knows."""
    return text.startswith(("/", "file://", "http://", "https://", "s3://"))


def parse_location(text: str, directory: Path) -> Location:
    """Take an address apart; a relative path is one below `directory`. Raises FetchError."""
    address, _, query = text.partition("?")
    if "://" not in address:
        # A path is nothing but a path, whatever is in it.
        return Location(text=text, kind="directory", base=str(directory / text))
    parameters = dict(parse_qsl(query))
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        # What is wrong with it may be a part of its password.
        cause = "its name and password make it none" if "@" in text else str(error)
        raise _unusable(text, cause) from error
    if parts.scheme == "file":
        path = directory / unquote(address.removeprefix("file://"))
        return Location(text=address, kind="directory", base=str(path), parameters=parameters)
    if parts.scheme not in ("http", "https", "s3"):
        raise _unusable(text, f"`{parts.scheme}` is of no kind that osloom knows")
    if not parts.hostname:
        raise _unusable(text, "it names no host" if parts.scheme != "s3" else "it names no bucket")
    if parts.username is not None:
        raise FetchError(
            f"cannot use an address of {parts.hostname} with a name and password in it",
            hint="put them into your netrc file; of caches of Nix, nix.conf names it as `netrc-file`",
        )
    plain = address.rstrip("/")
    if parts.scheme == "s3":
        base = _bucket(parts.netloc, parts.path.strip("/"), parameters)
        return Location(text=plain, kind="s3", base=base, parameters=parameters)
    return Location(text=plain, kind="web", base=plain, parameters=parameters)


def _bucket(bucket: str, prefix: str, parameters: dict[str, str]) -> str:
    """Where the bucket answers: below its endpoint, or at Amazon's own host for it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    scheme = "http" if parameters.get("scheme") == "http" else "https"
    region = parameters.get("region") or _REGION
    if endpoint := parameters.get("endpoint"):
        base = f"{endpoint.rstrip('/')}/{bucket}"
        base = base if "://" in endpoint else f"{scheme}://{base}"
    elif "." in bucket:
        # Such a name has no certificate as a host.
        base = f"{scheme}://s3.{region}.amazonaws.com/{bucket}"
    else:
        base = f"{scheme}://{bucket}.s3.{region}.amazonaws.com"
    return f"{base}/{quote(prefix)}" if prefix else base


def _unusable(text: str, cause: str) -> FetchError:
    return FetchError(
        f"cannot use the address `{without_login(text)}`: {cause}",
        hint="known are https://, http://, s3:// and file://",
    )
