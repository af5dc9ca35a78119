"""What the image has to hold for its configuration to work, and what is said when it does not."""

import pytest

from osloom.assemble.oci import plain_tag
from osloom.assemble.oci_config import check_config, effective
from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import BuildError
from osloom.model.application import Derived
from osloom.model.definition import Oci
from osloom.model.tree import Node, Tree

FILES = {
    "usr/bin/python3.13": b"\x7fELF",
    "opt/app/serve": b"#!/usr/bin/python3\n",
    "opt/app/broken": b"#!/bin/sh -e\n",
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/false\n",
    "etc/group": b"root:x:0:\nwww:x:33:\n",
}
BLOBS = {digest_bytes(data): data for data in FILES.values()}


def read(digest: Digest) -> bytes:
    return BLOBS[digest]


def image() -> Tree:
    nodes = {
        path: Node(
            "file", 0o644 if path.startswith("etc") else 0o755, digest=digest_bytes(data), size=4
        )
        for path, data in FILES.items()
    }
    nodes["usr/bin/python3"] = Node("symlink", 0o777, target="python3.13")
    nodes["opt/app/data"] = Node("file", 0o644, digest=digest_bytes(b"\x7fELF"), size=4)
    nodes["bin"] = Node("symlink", 0o777, target="usr/bin")
    return Tree(nodes)


@pytest.mark.parametrize(
    "settings",
    [
        Oci(),
        Oci(entrypoint=("/usr/bin/python3", "-V"), user="www"),
        Oci(entrypoint=("python3",), user="33:www"),
        Oci(command=("/bin/python3",), user="4000:5000"),
        Oci(entrypoint=("./serve",), working_directory="/opt/app"),
        Oci(entrypoint=("serve",), env={"PATH": "/opt/app"}),
    ],
)
def test_a_configuration_that_the_image_can_hold_is_fine(settings: Oci) -> None:
    check_config(settings, image(), read)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            Oci(entrypoint=("/usr/bin/pyton3",)),
            "cannot find the entrypoint `/usr/bin/pyton3` in the image",
            "did you mean `/usr/bin/python3`?",
        ),
        (
            Oci(entrypoint=("/usr/bin/serve",)),
            "cannot find the entrypoint `/usr/bin/serve` in the image",
            "did you mean `/opt/app/serve`?",
        ),
        (
            Oci(entrypoint=("serve",)),
            "cannot find the entrypoint `serve` in the image",
            "did you mean `/opt/app/serve`?",
        ),
        (
            Oci(entrypoint=("/opt/app/data",)),
            "cannot run the entrypoint `/opt/app/data`: it is not executable",
            'give it a mode: `mode = "0755"` in `files`',
        ),
        (
            Oci(entrypoint=("/opt/app/broken",)),
            (
                "cannot run the entrypoint `/opt/app/broken`: it is a script for `/bin/sh`, "
                "which the image does not have"
            ),
            "add the package `dash`",
        ),
        (
            Oci(entrypoint=("/bin/sh", "-c", "true")),
            "cannot find the entrypoint `/bin/sh` in the image",
            "add the package `dash`",
        ),
        (
            Oci(user="ww"),
            "cannot run as `ww`: the image has no such user",
            "did you mean `www`?",
        ),
        (
            Oci(user="www:zzz"),
            "cannot run with the group `zzz`: the image has no such group",
            "make it: a table under `users` or `groups`",
        ),
    ],
)
def test_a_configuration_that_the_image_cannot_hold_is_named_with_the_mend(
    settings: Oci, message: str, hint: str
) -> None:
    with pytest.raises(BuildError) as caught:
        check_config(settings, image(), read)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_definition_goes_before_what_the_packages_say() -> None:
    derived = Derived(
        entrypoint=("/usr/bin/a",),
        user="1:1",
        environment={"A": "package", "B": "package"},
        volumes=("/var/lib/a",),
        ports=(80,),
        stop_signal="SIGQUIT",
    )
    settings = Oci(env={"A": "mine"}, volumes=("/data", "/var/lib/a"), ports=(80, 81))
    made = effective(settings, derived)
    assert (made.entrypoint, made.user, made.stop_signal) == (("/usr/bin/a",), "1:1", "SIGQUIT")
    assert made.env == {"A": "mine", "B": "package"}
    assert (made.volumes, made.ports) == (("/var/lib/a", "/data"), (80, 81))
    assert effective(Oci(entrypoint=("/x",), user="0"), derived).entrypoint == ("/x",)


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("3.13.5-1", "3.13.5-1"),
        ("5:8.0.2-3+deb13u3", "8.0.2-3-deb13u3"),
        ("1.0~rc1", "1.0-rc1"),
        ("1" * 200, "1" * 128),
    ],
)
def test_a_version_becomes_a_tag(version: str, tag: str) -> None:
    assert plain_tag(version) == tag
