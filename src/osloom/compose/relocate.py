"""Debug tools that run in any image from a directory of their own, and leave it as it is.

A dynamic program names its loader by an absolute path (PT_INTERP, elf(5)), and the loader has the
directories of libraries built in (ld.so(8)). Both are rewritten in place: so the tools need no
environment variable, which the image's own programs would see as well.
"""

import struct
from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.application.certificates import with_bundle
from osloom.engine.step import Job, action
from osloom.model.tree import Node, Tree

PREFIX = "/.osloom"
_LOADER = "ld.so"
_LIBRARIES = "lib.d"
"""Names at the root of the tree; short, as they have to fit where longer ones were."""

_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
_PT_INTERP = 3


@action(version=1)
def relocate(job: Job) -> Mapping[str, Digest]:
    """The tree, to be mounted at `PREFIX`; `architecture` is the packages' own."""
    blobs = job.store.blobs
    architecture = job.parameters["architecture"]

    def add(data: bytes, before: Node | None = None) -> Node:
        fresh = {"size": len(data), "digest": blobs.add(data)}
        return msgspec.structs.replace(before or Node("file", 0o644), **fresh)

    tree = with_bundle(job.tree(), blobs.read, add)
    libraries = f"usr/lib/{_TRIPLETS[architecture]}"
    loader = tree.resolve(f"{libraries}/{_LOADERS[architecture]}")
    changed: dict[str, Node] = {}
    for path, node in tree.items():
        if node.kind == "symlink" and node.target.startswith("/"):
            changed[path] = msgspec.structs.replace(node, target=f"{PREFIX}{node.target}")
        elif node.kind == "file" and node.digest and (node.mode & 0o111 or ".so" in path):
            data = blobs.read(node.digest)
            moved = with_interpreter(data, f"{PREFIX}/{_LOADER}")
            if path == loader:
                moved = with_libraries(data, _TRIPLETS[architecture])
            if moved != data:
                changed[path] = add(moved, node)
    changed[_LOADER] = Node("symlink", 0o777, target=loader)
    changed[_LIBRARIES] = Node("symlink", 0o777, target=libraries)
    return {"tree": job.store.add_tree(tree.overlaid(Tree(changed)))}


def with_interpreter(data: bytes, interpreter: str) -> bytes:
    """An ELF file whose PT_INTERP is `interpreter`; what has none stays as it is.

    Raises BuildError when there is no room for the name.
    """
    if not data.startswith(b"\x7fELF\x02\x01") or len(data) < 64:
        return data
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        place = headers + number * size
        kind, _, offset, _, _, room = struct.unpack_from("<IIQQQQ", data, place)
        if kind == _PT_INTERP:
            return _replaced(data, offset, room, interpreter.encode() + b"\0")
    return data


def _replaced(data: bytes, offset: int, room: int, text: bytes) -> bytes:
    if len(text) > room:
        raise BuildError("cannot move a program: its loader's name has no room for another")
    return data[:offset] + text.ljust(room, b"\0") + data[offset + room :]


def with_libraries(data: bytes, triplet: str) -> bytes:
    """The loader, with `PREFIX` in the place of the directories that it looks into by itself.

    Raises BuildError when they are not where they are in Debian's glibc.
    """
    own = f"{PREFIX}/{_LIBRARIES}/".encode()
    # `elf/dl-load.c` has them one after the other, and their lengths elsewhere: every text keeps
    # its length. The last two, for which `own` is too long, become directories that are not there.
    before = [f"/lib/{triplet}/", f"/usr/lib/{triplet}/", "/lib/", "/usr/lib/"]
    after = [own.ljust(len(one), b"/") for one in before[:2]] + [b"/.os/", b"/.osloom/"]
    directories = b"".join(one.encode() + b"\0" for one in before)
    files = {
        b"/etc/ld.so.cache\0": b"/.osloom/ldcache\0",
        b"/etc/ld.so.preload\0": b"/.osloom/ldpreload\0",
        directories: b"".join(one + b"\0" for one in after),
    }
    for old, new in files.items():
        if old not in data:
            raise BuildError("cannot move the debug tools: their loader is none that is known")
        data = data.replace(old, new)
    return data
