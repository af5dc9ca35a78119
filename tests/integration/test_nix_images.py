"""Images with packages of Nix: built of a binary cache without Nix, run, and judged by real Nix."""

import json
import os
import secrets
import tarfile
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.cli import osloom
from support.engines import podman_run
from support.nix import NixWorld
from support.programs import Programs
from support.registry import running

BASE = """
[image.base]
packages = ["dash", "coreutils"]
configure = "none"
outputs = ["oci"]

[image.base.oci]
env = { PATH = "/opt/bin:/usr/local/bin:/usr/bin:/bin", PLACE = "base" }
tag = "1"
"""

IMAGES = """
[[nix.cache]]
url = "{cache}"
keys = ["{key}"]

[image.app]
nix = ["{app}", "{cacert}"]
outputs = ["oci"]
oci = {{ debug = true }}

[image.web]
nix = {{ packages = ["{web}"], installed = true }}
outputs = ["oci"]
test = [{{ http = "http://localhost:8080/", contains = "served by nix" }}]

[image.mixed]
packages = ["hello", "nix-bin", "procps"]
nix = {{ packages = ["{app}", "{tool}"], installed = true }}
configure = "dpkg"
outputs = ["oci", "tar"]
script = [{{ run = "app script > /greeting; nix-store --query --references {app}" }}]
files = {{ "/etc/nix/nix.conf" = {{ text = "{settings}" }} }}

[image.based]
from = "oci-layout:base/dist/base/base.oci"
nix = ["{app}"]
outputs = ["oci"]
"""

GREETING = "Hello, world\nall is well\nlower\n1\n"
PATH = (
    "/usr/local/sbin:/usr/local/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)
SETTINGS = ("experimental-features = nix-command flakes", "build-users-group =", "sandbox = false")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, store: Path, nix_world: NixWorld) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("nix-images"), store)
    base = Workshop(workshop.directory / "base", store)
    base.directory.mkdir()
    (base.directory / "osloom.toml").write_text(BASE)
    settings = "".join(f"{line}\\n" for line in SETTINGS)
    cache = f"file://{nix_world.cache('xz')}"
    text = IMAGES.format(cache=cache, key=nix_world.key, settings=settings, **nix_world.paths)
    (workshop.directory / "osloom.toml").write_text(text)
    for one in (base, workshop):
        one("lock").check()
        one("build").check()
    return workshop


def layout(workshop: Workshop, image: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Manifest, configuration and tag of an image."""
    directory = workshop.directory / f"dist/{image}/{image}.oci"

    def read(descriptor: dict[str, Any]) -> dict[str, Any]:
        name = descriptor["digest"].removeprefix("sha256:")
        found: dict[str, Any] = json.loads((directory / "blobs/sha256" / name).read_bytes())
        return found

    (entry,) = json.loads((directory / "index.json").read_bytes())["manifests"]
    manifest = read(entry)
    return manifest, read(manifest["config"]), next(iter(entry["annotations"].values()))


def test_an_application_of_nix_packages_runs_its_first_package(images: Workshop) -> None:
    done = images("run", "app", "--", "you").check()
    assert done.stdout == "Hello, you\nall is well\nlower\n1\n"
    manifest, config, tag = layout(images, "app")
    assert tag == "1.4.2"
    assert config["config"] == {
        "User": "65532:65532",
        "Entrypoint": ["/bin/app"],
        "Env": [
            f"PATH={PATH}",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ],
        "Labels": {
            "org.opencontainers.image.title": "app",
            "org.opencontainers.image.version": "1.4.2",
        },
    }
    assert [layer["created_by"] for layer in config["history"]] == [
        "data-3",
        "fixed-tree",
        "fixed.txt",
        "libgreet-1.0",
        "message.txt",
        "nss-cacert-3.108",
        "odd_names+files=1?",
        "busybox-1.37.0",
        "greet-2.1",
        "self-reference-0.5",
        "app-1.4.2",
        "configuration",
    ]
    assert len(manifest["layers"]) == 12


def test_the_same_path_is_the_same_layer_in_every_image(images: Workshop) -> None:
    found = []
    for image in ("app", "web", "mixed", "based"):
        manifest, config, _ = layout(images, image)
        titles = [one["created_by"] for one in config["history"]]
        found.append(manifest["layers"][titles.index("busybox-1.37.0")]["digest"])
    assert len(set(found)) == 1


def test_podman_runs_it_from_a_registry(
    images: Workshop, registry_programs: Programs, tmp_path: Path
) -> None:
    with running(registry_programs.root, tmp_path / "registry") as server:
        images("push", "app", "--to", f"{server.address}/team").check()
        said = podman_run(
            registry_programs.root, tmp_path / "podman", f"{server.address}/team/app:1.4.2"
        )
    assert said == GREETING


def test_it_answers_over_http(images: Workshop) -> None:
    assert "1 passed" in images("test", "web").check().stdout


def test_a_distribution_and_nix_share_an_image(images: Workshop) -> None:
    said = images("run", "mixed", "--", "sh", "-lc", "hello; tool; app; echo $PATH; cat /greeting")
    assert said.check().stdout.splitlines() == [
        "Hello, world!",
        "tool 1.9",
        *("Hello, world", "all is well", "lower", "1"),
        PATH,
        *("Hello, script", "all is well", "lower", "1"),
    ]


def test_nix_inside_knows_what_is_there(images: Workshop, nix_world: NixWorld) -> None:
    def nix(*words: str) -> list[str]:
        return images("run", "mixed", "--", *words).check().stdout.splitlines()

    assert nix("nix-store", "--verify", "--check-contents") == []
    closure = {*nix_world.closure("app", "tool")}
    (profile,) = {*nix("nix", "path-info", "--all")} - closure
    assert profile.endswith("-profile")
    assert sorted(nix("nix-store", "--query", "--references", profile)) == sorted(
        [nix_world.paths["app"], nix_world.paths["tool"]]
    )
    listed = json.loads(nix("nix", "profile", "list", "--json")[0])["elements"]
    assert {name: one["priority"] for name, one in listed.items()} == {"app": 5, "tool": 6}
    removed = "nix profile remove tool 2>&1; app; tool 2>&1 || echo gone; nix-collect-garbage 2>&1"
    said = nix("sh", "-c", removed)
    assert "all is well" in said
    assert "gone" in said
    # What the profile holds stays, and its former generation as well.
    assert "0 store paths deleted, 0.00 MiB freed" in said


def test_real_nix_would_have_made_the_same_profile(
    images: Workshop, nix_world: NixWorld, tmp_path: Path
) -> None:
    made = tmp_path / "profile"
    for priority, name in enumerate(("app", "tool"), 5):
        words = ("--profile", made, "--priority", str(priority), nix_world.paths[name])
        nix_world.nix("profile", "install", *words).check()
    with tarfile.open(images.directory / "dist/mixed/mixed.tar") as archive:
        ours = archive.getmember("nix/var/nix/profiles/default-1-link").linkname
    assert os.fspath((tmp_path / made.readlink()).readlink()) == ours


def test_store_paths_are_as_nix_has_them(images: Workshop, nix_world: NixWorld) -> None:
    names = {Path(path).name for path in nix_world.closure("app", "tool")}
    with tarfile.open(images.directory / "dist/mixed/mixed.tar") as archive:
        own = [
            one
            for one in archive.getmembers()
            if one.name.startswith("nix/store/") and one.name.split("/")[2] in names
        ]
    assert {one.name.split("/")[2] for one in own} == names
    assert {(one.mtime, one.uid, one.gid) for one in own} == {(1, 0, 0)}
    modes = {(one.isdir(), one.issym(), oct(one.mode)) for one in own}
    assert modes == {
        (True, False, "0o555"),
        (False, True, "0o777"),
        (False, False, "0o444"),
        (False, False, "0o555"),
    }


def test_packages_of_nix_go_on_a_base_of_a_registry(images: Workshop) -> None:
    assert images("run", "based", "--", "-c", "app").check().stdout == GREETING
    _, config, _ = layout(images, "based")
    assert config["config"]["Env"] == [
        "PATH=/opt/bin:/usr/local/bin:/nix/var/nix/profiles/default/bin:/usr/bin:/bin",
        "PLACE=base",
    ]
    base, _, _ = layout(Workshop(images.directory / "base", images.store), "base")
    whole, _, _ = layout(images, "based")
    assert whole["layers"][: len(base["layers"])] == base["layers"]


def test_a_debug_variant_has_the_same_layers_and_tools(images: Workshop) -> None:
    own, _, _ = layout(images, "app")
    debug, config, _ = layout(images, "app-debug")
    assert debug["layers"][:-1] == own["layers"]
    assert config["config"]["Entrypoint"] == ["/usr/lib/osloom/stay", "/bin/app"]


def test_a_shell_finds_the_programs_of_nix(images: Workshop) -> None:
    done = images("shell", "app", "--", "bash", "-c", "app && type -P app && curl --version")
    assert "/nix/var/nix/profiles/default/bin/app" in done.check().stdout


def test_every_store_and_day_makes_the_same_bytes(images: Workshop, tmp_path: Path) -> None:
    first = images("build", "web", "--json").check().digests
    other = Workshop(images.directory, tmp_path / "store")
    again = other("build", "web", "--json", TZ="Asia/Tokyo", LC_ALL="C").check().digests
    assert again == first


def test_links_may_lead_to_any_bytes(nix_world: NixWorld, store: Path, tmp_path: Path) -> None:
    """As on Linux, and as Nix has them: read by Python's own tarfile."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links/odd").symlink_to(os.fsdecode(b"caf\xe9"))
    path = nix_world.add(tmp_path / "links", f"links-{secrets.token_hex(8)}")
    cache = nix_world.copy(tmp_path / "cache", path)
    (tmp_path / "osloom.toml").write_text(
        f'[[nix.cache]]\nurl = "file://{cache}"\nkeys = ["{nix_world.key}"]\n'
        '[image.link]\npackages = ["busybox-static"]\nconfigure = "none"\n'
        f'nix = ["{path}"]\noutputs = ["oci", "tar"]\n'
        '[image.link.oci]\ncompression = "none"\n'
    )
    for command in ("lock", "build"):
        osloom(tmp_path, command, OSLOOM_STORE=str(store)).check()
    found = []
    for place in (tmp_path / "dist/link").rglob("*"):
        if place.is_file() and tarfile.is_tarfile(place):
            with tarfile.open(place, errors="surrogateescape") as archive:
                links = [one.linkname for one in archive if one.name.endswith("/odd")]
            found += [os.fsencode(one) for one in links]
    assert [one for one in found if not one.startswith(b"/nix")] == [b"caf\xe9", b"caf\xe9"]


def test_no_script_may_change_a_store_path(images: Workshop, nix_world: NixWorld) -> None:
    app = nix_world.paths["app"]
    text = (images.directory / "osloom.toml").read_text()
    workshop = Workshop(images.directory / "changed", images.store)
    workshop.directory.mkdir()
    head = text[: text.index("[image.app]")]
    (workshop.directory / "osloom.toml").write_text(
        f'{head}\n[image.changed]\npackages = ["dash"]\nnix = ["{app}"]\noutputs = ["tar"]\n'
        'configure = "none"\n'
        f'script = [{{ run = "echo more >> {app}/bin/app" }}]\n'
    )
    workshop("lock").check()
    done = workshop("build")
    assert done.status == 1
    assert f"error: cannot put {app} into the image: `{app}/bin/app` is not as Nix has it\n" in (
        done.stderr
    )
