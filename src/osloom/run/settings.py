"""What an image says of how it wants to run: its OCI image configuration.

https://github.com/opencontainers/image-spec/blob/main/config.md. It is read from the layout, as
every container engine does: so what runs here is what runs there.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from osloom.base.digest import Digest, to_hex
from osloom.base.errors import BuildError, UsageError
from osloom.base.numbers import to_number
from osloom.fetch.registry.descriptor import INDEXES, Descriptor, ImageIndex, ImageManifest
from osloom.sources.oci.manifest import choose
from osloom.store.store import Store


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The member `config` of the image configuration, as far as it says how to run."""

    user: str | None = None
    """`user`, `uid`, `user:group` …"""
    env: tuple[str, ...] | None = None
    """`NAME=VALUE`"""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str | None = None
    volumes: dict[str, Any] | None = None
    exposed_ports: dict[str, Any] | None = None
    """`80`, `80/tcp`, `53/udp`"""

    @property
    def environment(self) -> dict[str, str]:
        pairs = (one.partition("=") for one in self.env or ())
        return {name: value for name, _, value in pairs}

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports that the program listens on."""
        pairs = (one.partition("/") for one in self.exposed_ports or ())
        found = (to_number(port, 65535) for port, _, kind in pairs if kind != "udp")
        return tuple(port for port in found if port)

    def program(self, arguments: Sequence[str], *, entrypoint: str | None = None) -> list[str]:
        """The entrypoint with `arguments`, or with the image's own.

        Another `entrypoint` takes the image's own arguments away too. Raises UsageError if there
        is nothing to run.
        """
        if entrypoint is not None:
            words = [entrypoint, *arguments]
        else:
            words = [*(self.entrypoint or ()), *(arguments or self.cmd or ())]
        if not words:
            raise UsageError(
                "cannot run the container: it has neither `entrypoint` nor `command`",
                hint="say what to run: `osloom run IMAGE -- /bin/sh`",
            )
        return words


class _Configuration(msgspec.Struct, frozen=True):
    config: Settings = Settings()


def load_settings(store: Store, layout: Digest, architecture: str) -> Settings:
    """Of the image for `architecture` in the OCI image layout whose tree is `layout`."""
    tree = store.load_tree(layout)

    def read(path: str) -> bytes:
        node = tree.get(path)
        if node is None or node.digest is None:
            raise BuildError(f"cannot read the image layout: it has no {path}")
        return store.blobs.read(node.digest)

    def blob(descriptor: Descriptor) -> bytes:
        return read(f"blobs/sha256/{to_hex(descriptor.digest)}")

    try:
        named = msgspec.json.decode(read("index.json"), type=ImageIndex).manifests[0]
        if named.media_type in INDEXES:
            index = msgspec.json.decode(blob(named), type=ImageIndex)
            named = choose(index, architecture, what="the image")
        manifest = msgspec.json.decode(blob(named), type=ImageManifest)
        return msgspec.json.decode(blob(manifest.config), type=_Configuration).config
    except (msgspec.DecodeError, IndexError) as error:
        raise BuildError(f"cannot read the image layout: {error}") from error
