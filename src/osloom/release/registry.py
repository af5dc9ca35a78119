"""Releases in an OCI registry: each version is an artifact, its files are the layers.

    registry.example.com/releases/gateway:7      and `latest`, which moves

`oras pull` writes the files of a version into a directory, with SHA256SUMS and its signature: one
that a web server may serve to devices as it is. Versions are whole one by one: what a tag stands
for was there before the tag. A registry's own rules remove old versions.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md, Guidelines for Artifact Usage
"""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import FetchError
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import OCI_MANIFEST, Descriptor, make_manifest
from osloom.fetch.registry.registry import Registry
from osloom.keys.openpgp import ReleaseSigner
from osloom.release.channel import without_signature
from osloom.release.checksums import SIGNATURE, SUMS, format_sums
from osloom.release.published import Published, PublishedFile
from osloom.release.room import bounded, room_of
from osloom.release.succession import check_number, taken
from osloom.release.version import Release, Room

ARTIFACT_TYPE = "application/vnd.osloom.release.v1"
LATEST = "latest"
_EMPTY = "application/vnd.oci.empty.v1+json"
_FILE = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_VERSION = "org.opencontainers.image.version"
_ROOM = "osloom.release.room"
"""As in the version's own manifest."""
_ACTIONS = "pull,push"
_WORKERS = 4


class RegistryChannel:
    """One repository, which holds the versions of one image."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self.where = f"{registry.client.host}/{repository}"

    def check(self, own: str, number: int, *, signer: ReleaseSigner | None) -> None:
        """Raises Error where version `number` of `own` could not be published."""
        newest = max(self._versions(), default=0)
        check_number(own, number, newest)
        if signer is None and newest and SIGNATURE in self._layers(str(newest)):
            raise without_signature(self.where)

    def bring(self, content: Path) -> None:
        """Nothing is sent before it is known what it is."""

    def publish(
        self, release: Release, *, signer: ReleaseSigner | None, dry_run: bool, report: Reporter
    ) -> Published:
        """Publish `release` under its version, and as `latest`. Raises Error and FetchError."""
        self.check(release.id, release.number, signer=signer)
        release = bounded(release, self._room())
        text = format_sums(release.sums(), release.id)
        versions = {*self._versions()}
        unchanged = release.number in versions
        if unchanged:
            self._check_same(release, versions, signed=signer is not None)
        sent: set[str] = set()
        if dry_run and not unchanged:
            sent = {
                file.name for file in release.files if not self._has(file.digest, file.size)
            } | {release.manifest_name}
        elif not dry_run and not unchanged:
            signature = None if signer is None else signer.sign(text)
            sent = self._send(release, text, signature, report)
        return Published(
            id=release.id,
            version=release.version,
            channel=self.where,
            unchanged=unchanged,
            signed=signer is not None,
            files=_files(release, sent),
            removed=(),
            versions=tuple(sorted({*versions, release.number}, reverse=True)),
        )

    def _versions(self) -> list[int]:
        tags = self._registry.tags(self._repository, actions=_ACTIONS)
        return [int(tag) for tag in tags if tag.isascii() and tag.isdigit()]

    def _room(self) -> Room | None:
        """What devices have that were made with the newest version there, or with one before it."""
        newest = max(self._versions(), default=0)
        if not newest:
            return None
        found = self._registry.manifest(self._repository, str(newest)).image()
        text = found.annotations.get(_ROOM, "null")
        return room_of(f'{{"room": {text}}}'.encode(), where=f"{self.where}:{newest}")

    def _layers(self, tag: str) -> dict[str, Digest]:
        """The digests of a version's files, by name."""
        found = self._registry.manifest(self._repository, tag).image()
        return {one.annotations.get(_TITLE, ""): one.digest for one in found.layers}

    def _check_same(self, release: Release, versions: set[int], *, signed: bool) -> None:
        """What says where a definition was, and what is made of that, may differ."""
        passed_over = (SUMS, SIGNATURE, release.manifest_name)
        there = self._layers(release.version)
        own = {file.name: file.digest for file in release.files}
        differ = sorted(
            name for name in {*there, *own} - {*passed_over} if there.get(name) != own.get(name)
        )
        if signed and SIGNATURE not in there:
            differ.append(SIGNATURE)
        if differ:
            raise taken(release, max(versions), differ)

    def _has(self, digest: Digest, size: int) -> bool:
        blob = Descriptor(media_type=_FILE, digest=digest, size=size)
        return self._registry.has_blob(self._repository, blob)

    def _send(
        self, release: Release, text: bytes, signature: bytes | None, report: Reporter
    ) -> set[str]:
        """Everything, then the tags; gives the names of the files that were not there."""
        small = {release.manifest_name: release.manifest(), SUMS: text}
        if signature is not None:
            small[SIGNATURE] = signature
        with tempfile.TemporaryDirectory() as name:
            paths = {file.name: file.path for file in release.files}
            for title, data in {**small, _EMPTY: b"{}"}.items():
                paths[title] = Path(name, title.replace("/", "-"))
                paths[title].write_bytes(data)
            layers = {**_layers(release), **{key: _small(key, one) for key, one in small.items()}}
            config = Descriptor(media_type=_EMPTY, digest=digest_bytes(b"{}"), size=2)

            def send(title: str) -> str | None:
                blob = layers.get(title, config)
                if self._registry.has_blob(self._repository, blob):
                    return None
                self._registry.push_blob(
                    self._repository, blob, paths[title], source=None, report=report
                )
                return title

            with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
                try:
                    sent = {one for one in pool.map(send, paths) if one}
                except BaseException:
                    self._registry.client.stop()
                    raise
        self._tag(release, config, layers)
        return sent

    def _tag(self, release: Release, config: Descriptor, layers: Mapping[str, Descriptor]) -> None:
        described = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": [layers[name] for name in sorted(layers)],
            "annotations": {
                _TITLE: release.id,
                _VERSION: release.version,
                **({_ROOM: msgspec.json.encode(release.room).decode()} if release.room else {}),
            },
        }
        manifest = make_manifest(msgspec.json.encode(described), OCI_MANIFEST)
        self._registry.push_manifest(self._repository, manifest.digest, manifest)
        # A registry cannot be asked to keep a tag that is there: this is as near as can be.
        newest = max(self._versions(), default=0)
        if newest >= release.number:
            raise self._meanwhile(release)
        self._registry.push_manifest(self._repository, release.version, manifest)
        found = self._registry.resolve(self._repository, release.version)
        if found is None or found.digest != manifest.digest:
            raise self._meanwhile(release)
        self._registry.push_manifest(self._repository, LATEST, manifest)

    def _meanwhile(self, release: Release) -> FetchError:
        return FetchError(
            f"cannot release version {release.version} to {self.where}: "
            "somebody else has published to it meanwhile",
            hint="run this again: it goes on from what is there now",
        )


def _layers(release: Release) -> dict[str, Descriptor]:
    return {
        file.name: Descriptor(
            media_type=_FILE,
            digest=file.digest,
            size=file.size,
            annotations={_TITLE: file.name},
        )
        for file in release.files
    }


def _small(name: str, data: bytes) -> Descriptor:
    return Descriptor(
        media_type=_FILE,
        digest=digest_bytes(data),
        size=len(data),
        annotations={_TITLE: name},
    )


def _files(release: Release, sent: set[str]) -> tuple[PublishedFile, ...]:
    sizes = {file.name: file.size for file in release.files}
    return tuple(
        PublishedFile(
            name=name,
            size=sizes.get(name, len(release.manifest())),
            digest=digest,
            sent=name in sent,
        )
        for name, digest in sorted(release.sums().items())
    )
