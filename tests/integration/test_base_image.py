"""Images that start from one of a registry: pushed by skopeo, made by umoci, read back by both."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.cli import Done
from support.programs import Programs
from support.registry import Server, running

BASE = """
[image.base]
packages = ["busybox-static", "netbase"]
configure = "none"
outputs = ["oci"]

[image.base.files]
"/bin/sh" = { link = "busybox" }
"/etc/passwd" = { text = "root:x:0:0:root:/root:/bin/sh\\nweb:x:33:33::/srv:/bin/sh\\n" }
"/etc/group" = { text = "root:x:0:\\nweb:x:33:\\n" }
"/srv/page" = { text = "of the base\\n" }
"/srv/gone/too" = { text = "" }

[image.base.oci]
compression = "gzip"
command = ["/bin/sh", "-c", "echo of the base"]
env = { GREETING = "good day", PLACE = "base" }
user = "web"
working-directory = "/srv"
labels = { one = "base", two = "base" }
tag = "1"
"""

ON_TOP = """
[image.small]
from = "oci:{address}/team/base:1"
packages = ["dash"]
remove = ["/srv/gone"]
outputs = ["oci", "tar"]

[image.small.files]
"/srv/page" = {{ text = "of the image\\n" }}

[image.small.users.app]
uid = 1500

[image.small.oci]
command = ["/bin/sh", "-c", "id -un; pwd; echo $GREETING $PLACE; cat page; ls"]
env = {{ PLACE = "image" }}
labels = {{ two = "image" }}

[image.smaller]
from = "small"
outputs = ["oci"]
[image.smaller.oci]
user = "app"
"""


@dataclass(frozen=True)
class Shelf:
    """A registry, and the programs that fill and read it."""

    server: Server
    programs: Programs

    def push(self, layout: Path, name: str, *options: str) -> None:
        self.skopeo(
            "copy",
            *options,
            "--dest-tls-verify=false",
            f"oci:{layout}",
            f"docker://{self.server.address}/{name}",
        )

    def skopeo(self, *words: str) -> str:
        return self.programs("usr/bin/skopeo", "--insecure-policy", *words)

    def inspect(self, name: str) -> Any:
        words = ("inspect", "--raw", "--tls-verify=false")
        return json.loads(self.skopeo(*words, f"docker://{self.server.address}/{name}"))

    def umoci(self, *words: str | Path) -> None:
        self.programs("usr/bin/umoci", *words)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Shelf]:
    programs = Programs(
        tmp_path_factory.mktemp("programs"), store, "docker-registry", "skopeo", "umoci"
    )
    with running(programs.root, tmp_path_factory.mktemp("registry")) as server:
        yield Shelf(server, programs)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The layout of a base that osloom itself made, of several layers."""
    workshop = Workshop(tmp_path_factory.mktemp("base"), store)
    (workshop.directory / "osloom.toml").write_text(BASE)
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop.directory / "dist/base/base.oci"


@pytest.fixture(scope="module")
def small(
    tmp_path_factory: pytest.TempPathFactory, store: Path, shelf: Shelf, base: Path
) -> Workshop:
    shelf.push(base, "team/base:1")
    workshop = Workshop(tmp_path_factory.mktemp("small"), store)
    define(workshop, ON_TOP.format(address=shelf.server.address))
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop


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


def test_the_layers_of_the_base_are_untouched(shelf: Shelf, small: Workshop, base: Path) -> None:
    below = shelf.inspect("team/base:1")["layers"]
    assert len(below) >= 2
    layout = small.directory / "dist/small/small.oci"
    made = manifest_of(layout)
    assert made["layers"][: len(below)] == below
    for one in below:
        assert blob(layout, one) == blob(base, one)
    config = read(layout, made["config"])
    assert len(config["rootfs"]["diff_ids"]) == len(made["layers"])
    history = read(base, manifest_of(base)["config"])["history"]
    assert config["history"][: len(history)] == history
    # Of what the base holds nothing is sent again.
    own = sum(one["size"] for one in made["layers"][len(below) :])
    assert own < sum(one["size"] for one in below) / 2
    annotations = made["annotations"]
    assert annotations["org.opencontainers.image.base.name"].endswith("/team/base:1")


def test_skopeo_and_umoci_read_it(tmp_path: Path, shelf: Shelf, small: Workshop) -> None:
    layout = small.directory / "dist/small/small.oci"
    shelf.push(layout, "team/small:1", "--preserve-digests")
    assert shelf.inspect("team/small:1") == manifest_of(layout)
    config = json.loads(shelf.skopeo("inspect", "--config", f"oci:{layout}"))["config"]
    assert config["User"] == "web"
    assert config["WorkingDir"] == "/srv"
    assert config["Labels"] == {"one": "base", "two": "image"}
    assert {"GREETING=good day", "PLACE=image"} <= set(config["Env"])
    bundle = tmp_path / "bundle"
    shelf.umoci("unpack", "--rootless", "--image", f"{layout}:0", bundle)
    root = bundle / "rootfs"
    assert (root / "srv/page").read_text() == "of the image\n"
    assert not (root / "srv/gone").exists()
    assert (root / "usr/bin/dash").exists()
    assert (root / "usr/bin/busybox").exists()
    accounts = (root / "etc/passwd").read_text().splitlines()
    assert accounts[:2] == ["root:x:0:0:root:/root:/bin/sh", "web:x:33:33::/srv:/bin/sh"]
    assert [line for line in accounts if line.startswith("app:x:1500:1500:")] == accounts[2:]


def test_the_tree_of_other_outputs_is_the_same(tmp_path: Path, small: Workshop) -> None:
    import tarfile

    with tarfile.open(small.directory / "dist/small/small.tar") as archive:
        names = set(archive.getnames())
        page = archive.extractfile("srv/page")
        assert page is not None
        assert page.read() == b"of the image\n"
    assert {"usr/bin/dash", "usr/bin/busybox", "etc/protocols"} <= names
    assert not any(name.startswith("srv/gone") or "/.wh." in name for name in names)


def test_it_runs_with_what_it_inherited(small: Workshop) -> None:
    done = small("run", "small").check()
    assert done.stdout == "web\n/srv\ngood day image\nof the image\npage\n"
    assert small("run", "smaller").check().stdout.startswith("app\n")


def test_a_second_build_and_a_second_lock_do_nothing(small: Workshop, shelf: Shelf) -> None:
    before = (small.directory / "osloom.lock").read_bytes()
    count = len(shelf.server.requests())
    assert all(one["reused"] for one in small("build", "--json").check().json)
    assert "up to date" in small("lock").check().stdout
    assert shelf.server.since(count) == []
    assert (small.directory / "osloom.lock").read_bytes() == before
