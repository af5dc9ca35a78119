"""Releases and updates, as the definition says them: where versions go, and where devices look."""

from typing import Annotated

from msgspec import Meta

from osloom.model.providers import Table
from osloom.model.values import Url

ChannelAddress = Annotated[
    str,
    Meta(
        pattern=r"^(?![A-Za-z0-9+.-]+://)[^\s]+$|^(https?|file|s3|oci)://[^\s]+$",
        description="a directory, or an address that starts with `https://`, `http://`, `file://`, "
        "`s3://` or `oci://`",
        examples=["s3://releases/gateway?region=eu-central-1"],
    ),
]


class Release(Table, frozen=True, kw_only=True):
    """Where `osloom release` publishes versions: the channel."""

    to: ChannelAddress | None = None
    """The channel: a directory, a web server that takes PUT, an S3 bucket or an OCI registry. Each
    image has a directory of its own in it, by its name."""
    keep: Annotated[int, Meta(ge=1)] = 3
    """Versions that stay in the channel; a device that still fetches one of them is not cut off."""


class Update(Table, frozen=True, kw_only=True):
    """How devices update themselves."""

    url: Url | None = None
    """The directory of the image's releases, as devices reach it: what is published into a channel
    lies below its address in a directory of the image's name."""
