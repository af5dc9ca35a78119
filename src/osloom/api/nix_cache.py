"""Bring what images take from Nix into a binary cache, for machines without Nix."""

from collections.abc import Sequence
from pathlib import Path

from osloom.api.requests import COMPRESSORS
from osloom.api.session import Session
from osloom.assemble.nix_archive import plan_archive
from osloom.base.errors import UsageError, nearest
from osloom.base.numbers import to_number
from osloom.compose.plan import plan_files
from osloom.fetch.storage.location import Location, parse_location
from osloom.fetch.storage.storage import open_storage
from osloom.model.closure import StorePath
from osloom.release.nix_cache import SUFFIXES, Archive, NixCache, Pushed, Told
from osloom.sources.nix.settings import load_settings
from osloom.sources.nix.signatures import SecretKey, parse_secret_key


def push_closures(
    session: Session, images: Sequence[str], url: str, *, key: Path | None
) -> list[Pushed]:
    """Write the closures of `images`, or of all, into the cache at `url`.

    `url` may be a directory; its parameters `compression` and `compression-level` are those of
    Nix. `key` is a file with a secret key to sign with. Raises UsageError when there is nothing to
    push or no place for it, and FetchError when the cache does not take it; then each path in it is whole.
    """
    if not url:
        raise UsageError(
            "cannot push to a cache without an address",
            hint="name a directory or an address: `--nix-cache ./cache`",
        )
    paths = _closures(session, images)
    location = parse_location(url, session.project.directory)
    method, level = _compression(location)
    secret = None if key is None else _secret(key)
    with open_storage(location, load_settings().access()) as storage:
        cache = NixCache(location.text, storage, session.report)
        missing = cache.missing(paths)
        archives = _archives(session, missing, method, level)
        cache.prepare()
        told = {one.info.name: one for one in cache.push(missing, archives, secret)}
    return [_pushed(path, told.get(path.name)) for path in paths]


def _pushed(path: StorePath, told: Told | None) -> Pushed:
    signatures = path.signatures if told is None else told.info.signatures
    return Pushed(
        path=path.path,
        sent=0 if told is None else told.sent,
        unchanged=told is None,
        signed_by=tuple(one.partition(":")[0] for one in signatures),
    )


def _closures(session: Session, images: Sequence[str]) -> list[StorePath]:
    known = session.project.definition.image
    for name in images:
        if name not in known:
            close = nearest(name, list(known))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"
            raise UsageError(f"cannot find the image `{name}`", hint=hint)
    chosen = [
        locked
        for name in images or known
        for locked in known[name].variants(name)
        if locked in session.lock.images
    ]
    found = {path.name: path for name in chosen for path in session.lock.closure_of(name)}
    if not found:
        what = ", ".join(f"`{name}`" for name in images) or "no image"
        raise UsageError(
            f"cannot push to a cache: {what} takes nothing from Nix",
            hint='add `nix = ["nixpkgs#hello"]` to an image, and run `osloom lock`',
        )
    return [found[name] for name in sorted(found)]


def _compression(location: Location) -> tuple[str, int | None]:
    method = location.parameters.get("compression", "zstd")
    level = location.parameters.get("compression-level", "")
    if method not in SUFFIXES:
        raise UsageError(
            f"cannot compress with `{method}`", hint=f"known are {', '.join(SUFFIXES)}"
        )
    number = to_number(level)
    if level and number is None:
        raise UsageError(
            f"cannot compress at the level `{level}`: it is no number",
            hint="give one of the method's own levels, or leave `compression-level` out",
        )
    return method, number


def _secret(path: Path) -> SecretKey:
    try:
        return parse_secret_key(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read the secret key in {path}: {said}") from error


def _archives(
    session: Session, paths: Sequence[StorePath], method: str, level: int | None
) -> dict[str, Archive]:
    compressors = plan_files("compressors", session.lock.packages_of(COMPRESSORS))
    wanted = [plan_archive(path, method, level, compressors) for path in paths]
    made = session.make(wanted)
    return {
        path.name: Archive(file=session.store.blobs.path(digest), digest=digest, compression=method)
        for path, digest in zip(paths, made, strict=True)
    }
