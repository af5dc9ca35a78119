"""Layers of base images, as umoci and docker make and apply them."""

import hashlib
import os
import stat
import tarfile
from pathlib import Path

from integration.bases import index, manifest_of, on, project, put
from support.layer import archive, diff_id, directory, hard_link, member, packed, symlink
from support.registry import Shelf

Found = dict[str, tuple[int, int, str]]
"""Kind and mode, time, and content or target, by path."""


def unpacked(root: Path) -> Found:
    found: Found = {}
    for path in root.rglob("*"):
        info = path.lstat()
        said = os.readlink(path) if path.is_symlink() else ""  # noqa: PTH115
        if path.is_file() and not said:
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(root).as_posix()] = (info.st_mode, int(info.st_mtime), said)
    return found


def archived(path: Path) -> Found:
    kinds = {
        tarfile.REGTYPE: stat.S_IFREG,
        tarfile.LNKTYPE: stat.S_IFREG,
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
    }
    found: Found = {}
    with tarfile.open(path) as archive:
        for one in archive:
            first = archive.getmember(one.linkname) if one.islnk() else one
            content = archive.extractfile(first) if first.isreg() else None
            said = hashlib.sha256(content.read()).hexdigest() if content else one.linkname
            found[one.name] = (kinds[one.type] | first.mode, int(first.mtime), said)
    return found


def test_what_umoci_makes_of_a_layer_with_whiteouts(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    copy, bundle = tmp_path / "copy", tmp_path / "bundle"
    shelf.skopeo("copy", f"oci:{base}", f"oci:{copy}:1")
    shelf.umoci("unpack", "--rootless", "--image", f"{copy}:1", bundle)
    root = bundle / "rootfs"
    (root / "srv/page").unlink()
    (root / "srv/gone/too").unlink()
    (root / "srv/gone").rmdir()
    (root / "srv/new").write_text("new\n")
    (root / "srv/linked").hardlink_to(root / "srv/new")
    (root / "srv/protocols").hardlink_to(root / "etc/protocols")
    shelf.umoci("repack", "--image", f"{copy}:2", bundle)
    shelf.skopeo(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{copy}:2",
        f"docker://{shelf.server.address}/team/changed:2",
    )
    text = on(shelf, "team/changed:2", 'files = { "/srv/own" = { text = "own\\n" } }')
    text += 'remove = ["/srv/new"]\noci = { compression = "gzip" }\n'
    made = project(tmp_path, store, text)
    made("lock").check()
    made("build", "--format", "oci", "--format", "tar").check()
    again = tmp_path / "again"
    shelf.umoci("unpack", "--rootless", "--image", f"{made.directory}/dist/app/app.oci:0", again)
    # What umoci makes of all layers is what osloom made of the base's and put into an archive.
    assert unpacked(again / "rootfs") == archived(made.directory / "dist/app/app.tar")
    script = "cd /srv; busybox ls; busybox cat linked own; busybox head -n 1 protocols"
    done = made("run", "app", "--", "/bin/sh", "-c", script).check()
    said = "linked\nown\nprotocols\nnew\nown\n# Internet (IP) protocols\n"
    assert done.stdout == said


def test_a_base_in_docker_s_own_format(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    shelf.push(base, "team/docker:1", "--format=v2s2")
    below = shelf.inspect("team/docker:1")
    assert below["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    made = project(tmp_path, store, on(shelf, "team/docker:1", 'hostname = "app"'))
    made("lock").check()
    made("build").check()
    layout = made.directory / "dist/app/app.oci"
    layers = manifest_of(layout)["layers"]
    ours = [
        {**one, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
        for one in below["layers"]
    ]
    assert layers[:-1] == ours
    shelf.push(layout, "team/on-docker:1", "--preserve-digests")


def stacked(layout: Path, *layers: bytes) -> None:
    """A layout of an image with these layers, all compressed in different ways."""
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    described = []
    for number, layer in enumerate(layers):
        method, suffix = (("gzip", "+gzip"), ("none", ""))[number % 2]
        data = packed(layer, method)
        digest = diff_id(data)
        (layout / "blobs" / digest.replace(":", "/")).write_bytes(data)
        kind = f"application/vnd.oci.image.layer.v1.tar{suffix}"
        described.append({"mediaType": kind, "digest": digest, "size": len(data)})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id(layer) for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(layout, config)},
        "layers": described,
    }
    named = {"org.opencontainers.image.ref.name": "1"}
    index(
        layout, {"mediaType": manifest["mediaType"], **put(layout, manifest), "annotations": named}
    )


def test_umoci_applies_layers_as_osloom_does(tmp_path: Path, store: Path, shelf: Shelf) -> None:
    lowest = archive(
        *[(directory(name), None) for name in ("a", "a/deep", "d", "e", "etc", "usr", "usr/lib")],
        (member("a/gone", b"1"), b"1"),
        (member("a/deep/gone", b"2"), b"2"),
        (member("d/gone", b"3"), b"3"),
        (member("e/gone", b"4"), b"4"),
        (member("etc/first", b"5", mode=0o4755), b"5"),
        (hard_link("etc/second", "etc/first"), None),
        (symlink("lib", "usr/lib"), None),
        (member("usr/lib/gone", b"6"), b"6"),
        (symlink("up", "../../etc"), None),
    )
    middle = archive(
        (directory("a", 0o700), None),
        (member("a/.wh..wh..opq", b""), b""),
        (member("a/kept", b"7"), b"7"),
        (member("d", b"8"), b"8"),
        (member(".wh.e", b""), b""),
        (hard_link("etc/third", "etc/first"), None),
        (member("lib/new", b"9"), b"9"),
        (member("lib/.wh.gone", b""), b""),
        (member("up/fourth", b"10"), b"10"),
    )
    highest = archive(
        (member("etc/.wh.first", b""), b""),
        (directory("d"), None),
        (member("d/inside", b"11"), b"11"),
    )
    made = project(tmp_path, store, '[image.app]\nfrom = "oci-layout:base"\noutputs = ["tar"]\n')
    stacked(made.directory / "base", lowest, middle, highest)
    made("lock").check()
    made("build").check()
    bundle = tmp_path / "bundle"
    shelf.umoci("unpack", "--rootless", "--image", f"{made.directory}/base:1", bundle)
    found = archived(made.directory / "dist/app/app.tar")
    assert without_times(found) == without_times(unpacked(bundle / "rootfs"))
    assert {"a/kept", "d/inside", "etc/third", "etc/fourth", "usr/lib/new"} <= found.keys()
    assert not [path for path in found if "gone" in path or "first" in path or ".wh." in path]


def without_times(found: Found) -> dict[str, tuple[int, str]]:
    """umoci gives a directory the time in which something in it changed."""
    return {path: (mode, said) for path, (mode, _, said) in found.items()}
