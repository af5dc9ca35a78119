"""Releases and updates, as the definition says them: where versions go, and where devices look."""

from typing import Annotated

from msgspec import Meta

from osloom.model.providers import Table
from osloom.model.values import Line, Name, TimeSpan, Url

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
    interval: TimeSpan = "6h"
    """How often devices look there."""
    random_delay: TimeSpan = "1h"
    """At most so long each device waits, so that not all of them come at once."""
    reboot: Line = "now"
    """When a device starts a new version: `now`, `never`, or a maintenance window's beginning as
    systemd.time(7) has it: `Sun 03:00`."""
    tries: Annotated[int, Meta(ge=1, le=9)] = 3
    """Boots that a new version has to become good; after them the device returns to the last."""
    deadline: TimeSpan = "10min"
    """Until a boot of a new version has to be good; else it counts as failed."""
    extensions: tuple[Name, ...] = ()
    """Images with the outputs `sysext` or `confext` that devices take from the channel too. Each is
    looked for beside `url`, in a directory of its name, or where its own `url` says."""
    watchdog: TimeSpan = "1min"
    """After so long a hang the hardware resets the device, where it has a watchdog."""


class Health(Table, frozen=True, kw_only=True):
    """A check that a new version has to pass on the device to be kept; until then it is on trial."""

    run: str
    """Shell text that must succeed; runs as root, when the system is up."""
    name: Line | None = None
    """How the journal calls it."""
    timeout: Annotated[int, Meta(ge=1)] = 60
    """Seconds; it is tried again until then."""
