"""The repositories of a resolution: which suites, fetched, verified, parsed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osloom.base.digest import digest_json
from osloom.base.errors import FetchError, LockError
from osloom.base.progress import Reporter
from osloom.fetch.download import Wanted, client, fetch_blob, fetch_text
from osloom.model.lock import Repository as LockedRepository
from osloom.model.providers import Debian
from osloom.sources.debian.index import (
    VERSION,
    ParsedIndex,
    decode_index,
    decompress,
    encode_index,
    parse_index,
)
from osloom.sources.debian.mirrors import DEBIAN, SECURITY, base_address
from osloom.sources.debian.release import Release, load_keyring, parse_release
from osloom.sources.debian.universe import Ranked
from osloom.store.store import Store

if TYPE_CHECKING:
    from osloom.fetch.http import Http

_ROLLING = ("sid", "unstable", "experimental")
"""Suites that have no security or updates suite beside them."""


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """One suite of one archive, to be looked at."""

    source: str
    suite: str
    components: tuple[str, ...]
    keyring: Path | None
    priority: int = 500
    optional: bool = False
    """Leave it out when the archive does not have it."""

    @property
    def name(self) -> str:
        return f"{self.source}/{self.suite}"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A suite whose indexes are at hand."""

    locked: LockedRepository
    ranked: tuple[Ranked, ...]


def suites(debian: Debian, suite: str, directory: Path) -> tuple[Suite, ...]:
    """What a resolution for `suite` looks at; paths of keys are below `directory`."""
    keyring = directory / debian.keyring if debian.keyring else None
    components = debian.components
    found = [Suite(source=DEBIAN, suite=suite, components=components, keyring=keyring)]
    if suite not in _ROLLING:
        beside = [
            (debian.updates, DEBIAN, f"{suite}-updates", 500),
            (debian.security, SECURITY, f"{suite}-security", 500),
            (debian.backports, DEBIAN, f"{suite}-backports", 100),
        ]
        found += [
            Suite(
                source=source,
                suite=name,
                components=components,
                keyring=keyring,
                priority=priority,
                optional=True,
            )
            for wanted, source, name, priority in beside
            if wanted
        ]
    found += [
        Suite(
            source=one.name,
            suite=one.suite,
            components=one.components,
            keyring=directory / one.key,
            priority=one.priority,
        )
        for one in debian.repository
    ]
    return tuple(found)


def open_suites(
    store: Store,
    debian: Debian,
    wanted: Sequence[tuple[Suite, str]],
    *,
    now: int,
    report: Reporter,
) -> Mapping[tuple[str, str], Opened]:
    """Each suite for each architecture, by `Suite.name` and architecture; in parallel."""
    todo = list(dict.fromkeys(wanted))
    with client() as http, ThreadPoolExecutor(max_workers=8) as pool:
        releases = dict(
            zip(
                dict.fromkeys(suite for suite, _ in todo),
                pool.map(
                    lambda suite: _open_release(http, debian, suite, now=now),
                    dict.fromkeys(suite for suite, _ in todo),
                ),
                strict=True,
            )
        )
        opened = pool.map(
            lambda pair: _open_suite(store, debian, pair[0], pair[1], releases[pair[0]], report),
            todo,
        )
        return {
            (suite.name, architecture): one
            for (suite, architecture), one in zip(todo, opened, strict=True)
            if one is not None
        }


def _open_release(http: "Http", debian: Debian, suite: Suite, *, now: int) -> Release | None:
    base = base_address(suite.source, debian)
    signed = fetch_text(http, f"{base}/dists/{suite.suite}/InRelease")
    if signed is None:
        if suite.optional:
            return None
        raise FetchError(
            f"cannot find the suite `{suite.suite}` of {suite.source}: it has no InRelease",
            hint="check the name of the suite and the mirror",
        )
    return parse_release(
        signed,
        load_keyring(suite.keyring),
        name=suite.name,
        now=now,
        check_valid_until=debian.check_valid_until,
    )


def _open_suite(
    store: Store,
    debian: Debian,
    suite: Suite,
    architecture: str,
    release: Release | None,
    report: Reporter,
) -> Opened | None:
    if release is None:
        return None
    base = f"{base_address(suite.source, debian)}/dists/{suite.suite}"
    indexes = []
    for component in suite.components:
        names = [f"{component}/binary-{architecture}/Packages{end}" for end in (".xz", ".gz", "")]
        name = next((one for one in names if one in release.files), None)
        if name is None:
            raise LockError(
                f"cannot use {suite.name}: it has no `{component}` for {architecture}",
                hint="check `components` and `architecture`",
            )
        indexes.append(_load_index(store, base, name, release, suite, report))
    return Opened(
        locked=LockedRepository(
            name=suite.name,
            source=suite.source,
            suite=suite.suite,
            components=suite.components,
            architectures=(architecture,),
            release=release.digest,
            date=release.date,
            valid_until=release.valid_until,
            signers=release.signers,
        ),
        ranked=tuple(
            Ranked(repository=suite.name, index=index, priority=suite.priority) for index in indexes
        ),
    )


def _load_index(
    store: Store, base: str, name: str, release: Release, suite: Suite, report: Reporter
) -> ParsedIndex:
    file = release.files[name]
    key = digest_json(["debian.index", VERSION, file.digest])
    found = store.results.find(key)
    if found is not None:
        store.results.touch(key)
        return decode_index(store.blobs.read(found.outputs["index"]))
    plain = f"{base}/{name}"
    hashed = f"{plain.rpartition('/')[0]}/by-hash/SHA256/{file.digest[7:]}"
    wanted = Wanted(
        urls=(hashed, plain) if release.by_hash else (plain,),
        digest=file.digest,
        size=file.size,
        title=f"index of {suite.name}",
    )
    data = store.blobs.read(fetch_blob(store, wanted, report=report))
    index = parse_index(decompress(data, name))
    store.results.save(key, {"index": store.blobs.add(encode_index(index))})
    return index
