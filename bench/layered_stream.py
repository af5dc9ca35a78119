"""The layer writer of nixpkgs' dockerTools, written again from what its documentation says of it.

`streamLayeredImage`: one process of Python, with its tarfile module. Each layer is archived once to
learn its digest and size, and once more into the image, which is not compressed; the archive has
what `docker load` takes. https://nixos.org/manual/nixpkgs/stable/#ssec-pkgs-dockerTools-streamLayeredImage
"""

import hashlib
import io
import json
import os
import sys
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO


class Checksum(io.RawIOBase):
    """Takes bytes and keeps their digest and number."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.hash.update(data)
        self.size += len(data)
        return len(data)


def archive(target: BinaryIO | io.RawIOBase, store: Path, names: Sequence[str]) -> None:
    """The store paths as tar, with root for owner and one second for time."""
    with tarfile.open(fileobj=target, mode="w|") as tar:
        for path in ("nix", "nix/store"):
            directory = tarfile.TarInfo(path)
            directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o755, 1
            tar.addfile(directory)
        for name in names:
            for path in (store / name, *sorted((store / name).rglob("*"))):
                info = tar.gettarinfo(path, f"nix/store/{path.relative_to(store)}")
                info.mtime, info.uid, info.gid, info.uname, info.gname = 1, 0, 0, "root", "root"
                if info.isreg():
                    with path.open("rb") as file:
                        tar.addfile(info, file)
                else:
                    tar.addfile(info)


def add_layer(image: tarfile.TarFile, store: Path, names: Sequence[str]) -> tuple[str, str]:
    """Add a layer; gives its digest and its path in the image."""
    checksum = Checksum()
    archive(checksum, store, names)
    digest = checksum.hash.hexdigest()
    info = tarfile.TarInfo(f"{digest}/layer.tar")
    info.size = checksum.size
    reader, writer = os.pipe()
    with open(reader, "rb") as read:  # noqa: PTH123

        def produce() -> None:
            with open(writer, "wb") as write:  # noqa: PTH123
                archive(write, store, names)

        thread = threading.Thread(target=produce)
        thread.start()
        image.addfile(info, read)
        thread.join()
    return digest, info.name


def add_json(image: tarfile.TarFile, name: str, content: object) -> None:
    data = json.dumps(content).encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    image.addfile(info, io.BytesIO(data))


def main() -> None:
    """`STORE LAYERS`: the groups of base names as JSON; the image goes to the standard output."""
    store = Path(sys.argv[1])
    groups = json.loads(Path(sys.argv[2]).read_bytes())
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as image:
        layers = [add_layer(image, store, names) for names in groups]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one, _ in layers]},
        }
        name = hashlib.sha256(json.dumps(config).encode()).hexdigest() + ".json"
        add_json(image, name, config)
        paths = [path for _, path in layers]
        add_json(image, "manifest.json", [{"Config": name, "RepoTags": None, "Layers": paths}])


if __name__ == "__main__":
    main()
