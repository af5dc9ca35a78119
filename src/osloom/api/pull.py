"""Bring an image from a registry as an OCI layout."""

from pathlib import Path

from osloom.base.progress import Reporter
from osloom.fetch.registry.reference import parse_reference
from osloom.fetch.registry.registry import open_registry
from osloom.release.pull import Pulled, parse_platform
from osloom.release.pull import pull as pull_layout
from osloom.store.store import Store


def pull(
    store: Store,
    text: str,
    target: Path | None,
    *,
    platform: str | None,
    insecure: bool,
    ca: Path | None,
    report: Reporter,
) -> Pulled:
    """Bring the image that the reference `text` names to `target`, by default `NAME.oci`.

    Raises UsageError when the reference or the platform cannot be read, FetchError when it does
    not come.
    """
    reference = parse_reference(text)
    wanted = parse_platform(platform) if platform is not None else None
    place = target or Path(reference.repository.rpartition("/")[2] + ".oci")
    with open_registry(reference.registry, insecure=insecure, ca=ca) as registry:
        return pull_layout(registry, store, reference, place, platform=wanted, report=report)
