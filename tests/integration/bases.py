"""Images of a registry to start from, and projects that do."""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from integration.conftest import Workshop
from support.cli import Done
from support.registry import Shelf


def define(workshop: Workshop, text: str) -> None:
    (workshop.directory / "osloom.toml").write_text(text)


def locked(workshop: Workshop) -> Any:
    return json.loads((workshop.directory / "osloom.lock").read_text())


def manifest_of(layout: Path) -> Any:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return read(layout, entry)


def read(layout: Path, descriptor: Any) -> Any:
    return json.loads(blob(layout, descriptor))


def blob(layout: Path, descriptor: Any) -> bytes:
    data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (digest, len(data)) == (descriptor["digest"], descriptor["size"])
    return data


def names_in(layer: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return set(archive.getnames())


def project(tmp_path: Path, store: Path, text: str) -> Workshop:
    workshop = Workshop(tmp_path / "project", store)
    workshop.directory.mkdir(parents=True)
    define(workshop, text)
    return workshop


def on(shelf: Shelf, name: str, more: str = "") -> str:
    """A definition of one image, `app`, on an image of the registry."""
    return f"""
[image.app]
from = "oci:{shelf.server.address}/{name}"
outputs = ["oci"]
{more}
"""


def failed(done: Done) -> str:
    """The message of a command that failed."""
    assert done.status in (1, 2), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def copied(base: Path, place: Path) -> Path:
    return Path(shutil.copytree(base, place))


def put(layout: Path, value: Any) -> dict[str, Any]:
    """Adds a document to a layout."""
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def index(layout: Path, *manifests: dict[str, Any]) -> None:
    text = json.dumps({"schemaVersion": 2, "manifests": list(manifests)})
    (layout / "index.json").write_text(text)


def altered(layout: Path, config: Any, **fields: Any) -> dict[str, Any]:
    """The manifest of a layout with another configuration, as a descriptor."""
    manifest = manifest_of(layout)
    manifest |= fields
    manifest["config"] = {**manifest["config"], **put(layout, config)}
    return {"mediaType": manifest["mediaType"], **put(layout, manifest)}
