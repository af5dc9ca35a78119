"""The lockfile: canonical JSON, one package a line, so that a change shows as the lines it is."""

import json
from pathlib import Path

import msgspec

from osloom.base.errors import Error, LockError
from osloom.base.files import write_atomic
from osloom.model.lock import VERSION, Lock

_RESTORE = "restore it from version control, or delete it and run `osloom lock`"


class _Head(msgspec.Struct):
    version: int = 0


def dump(lock: Lock) -> str:
    """The text of a lock; equal locks give equal text."""
    parts = {
        "version": str(lock.version),
        "epoch": str(lock.epoch),
        "repositories": _lines([msgspec.to_builtins(one) for one in lock.repositories]),
        "packages": _lines([msgspec.to_builtins(one) for one in lock.packages]),
        "images": _images(lock),
    }
    if lock.bases:
        parts["bases"] = _lines([msgspec.to_builtins(one) for one in lock.bases])
    if lock.store_paths:
        parts["store_paths"] = _lines([msgspec.to_builtins(one) for one in lock.store_paths])
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}\n"


def _lines(values: list[object]) -> str:
    return "[\n" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n]"


def _images(lock: Lock) -> str:
    images = []
    for name, image in sorted(lock.images.items()):
        fields = msgspec.to_builtins(image)
        packages = _lines(list(fields.pop("packages")))
        head = json.dumps(fields, ensure_ascii=False)[:-1]
        images.append(f'{json.dumps(name)}: {head}, "packages": {packages}}}')
    return "{\n" + ",\n".join(images) + "\n}"


def parse(text: bytes, *, file: str) -> Lock:
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.version != VERSION:
            raise LockError(
                f"cannot read {file}: it is of version {head.version}, "
                f"this osloom knows version {VERSION}",
                hint="use the osloom that wrote it, or run `osloom lock --upgrade`",
            )
        lock = msgspec.json.decode(text, type=Lock)
    except msgspec.DecodeError as error:
        raise LockError(
            f"cannot read {file}: {error}",
            hint=_RESTORE,
        ) from error
    _check_store_paths(lock, file)
    return lock


def _check_store_paths(lock: Lock, file: str) -> None:
    """Names become paths, and a closure has to be whole."""
    if not lock.store_paths and not any(image.installables for image in lock.images.values()):
        return
    from osloom.model.store_path import parse_store_path

    known = {path.name for path in lock.store_paths}
    asked = [
        name
        for one in lock.images.values()
        for names in one.installables.values()
        for name in names
    ]
    for name in (*asked, *(name for path in lock.store_paths for name in path.references)):
        if name not in known:
            raise LockError(f"cannot read {file}: it has no store path `{name}`", hint=_RESTORE)
    for name in known:
        try:
            parsed = parse_store_path(name)
        except Error as error:
            raise LockError(f"cannot read {file}: {error.message}", hint=_RESTORE) from error
        if parsed != name:
            raise LockError(f"cannot read {file}: `{name}` is not a base name", hint=_RESTORE)


def load(path: Path) -> Lock:
    try:
        return parse(path.read_bytes(), file=path.name)
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror}") from error


def save(lock: Lock, path: Path) -> None:
    try:
        write_atomic(path, dump(lock).encode())
    except OSError as error:
        raise LockError(f"cannot write {path}: {error.strerror}") from error
