"""Bootspec documents: what nixpkgs writes, and what is none."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from osloom.base.errors import BuildError
from osloom.model.bootspec import V1, Entry, parse_bootspec

TOP = f"/nix/store/{'0' * 32}-nixos-system-web-25.11"
KERNEL = f"/nix/store/{'1' * 32}-linux-6.12.57"
INITRD = f"/nix/store/{'2' * 32}-initrd-linux-6.12.57"
CHILD = f"/nix/store/{'3' * 32}-nixos-system-web-25.11"
CLOSURE = frozenset(path.removeprefix("/nix/store/") for path in (TOP, KERNEL, INITRD, CHILD))


def system(toplevel: str) -> dict[str, Any]:
    return {
        "init": f"{toplevel}/init",
        "initrd": f"{INITRD}/initrd",
        "kernel": f"{KERNEL}/bzImage",
        "kernelParams": ["loglevel=4", "root=fstab"],
        "label": "NixOS Xantusia 25.11 (Linux 6.12.57)",
        "system": "x86_64-linux",
        "toplevel": toplevel,
    }


def document() -> dict[str, Any]:
    child = {V1: system(CHILD), "org.nixos.specialisation.v1": {}}
    return {
        V1: system(TOP),
        "org.nixos.specialisation.v1": {"debug": child},
        "org.nixos.systemd-boot": {"sortKey": "nixos"},
    }


def read(given: object, architecture: str = "amd64") -> Any:
    data = given if isinstance(given, bytes) else json.dumps(given).encode()
    return parse_bootspec(data, closure=CLOSURE, architecture=architecture)


def test_what_nixpkgs_writes() -> None:
    spec = read(document())
    assert spec.entry == Entry(
        system="x86_64-linux",
        init=f"{TOP}/init",
        kernel=f"{KERNEL}/bzImage",
        kernel_params=("loglevel=4", "root=fstab"),
        label="NixOS Xantusia 25.11 (Linux 6.12.57)",
        toplevel=TOP,
        initrd=f"{INITRD}/initrd",
    )
    assert spec.entry.command_line == (f"init={TOP}/init", "loglevel=4", "root=fstab")
    assert {name: one.entry.init for name, one in spec.specialisations.items()} == {
        "debug": f"{CHILD}/init"
    }
    assert spec.extensions == {"org.nixos.systemd-boot": {"sortKey": "nixos"}}


def test_a_system_without_an_initrd_and_with_secrets() -> None:
    changed = document()
    del changed[V1]["initrd"]
    changed[V1]["initrdSecrets"] = f"{TOP}/append-initrd-secrets"
    entry = read(changed).entry
    assert (entry.initrd, entry.initrd_secrets) == (None, f"{TOP}/append-initrd-secrets")


def test_what_is_not_known_of_an_entry_is_no_part_of_it() -> None:
    changed = document()
    changed[V1]["extensions"] = changed[V1]["specialisations"] = "no"
    assert read(changed).extensions == {"org.nixos.systemd-boot": {"sortKey": "nixos"}}


def test_specialisations_of_specialisations_are_ignored_as_nixos_does() -> None:
    changed = document()
    child = changed["org.nixos.specialisation.v1"]["debug"]
    child["org.nixos.specialisation.v1"] = {"deeper": {V1: system(CHILD)}}
    assert read(changed).specialisations["debug"].specialisations == {}


def without_kernel(given: dict[str, Any]) -> None:
    del given[V1]["kernel"]


def kernel_elsewhere(given: dict[str, Any]) -> None:
    given[V1]["kernel"] = f"/nix/store/{'9' * 32}-linux/bzImage"


def kernel_by_way_of_the_parent(given: dict[str, Any]) -> None:
    given[V1]["kernel"] = f"{KERNEL}/../../../etc/shadow"


def initrd_of_the_machine(given: dict[str, Any]) -> None:
    given[V1]["initrd"] = "/boot/initrd"


def only_a_newer_one(given: dict[str, Any]) -> None:
    given["org.nixos.bootspec.v2"] = given.pop(V1)


def the_preview(given: dict[str, Any]) -> None:
    given["v1"] = given.pop(V1)


def nothing_of_it(given: dict[str, Any]) -> None:
    given.clear()


def parameters_as_text(given: dict[str, Any]) -> None:
    given[V1]["kernelParams"] = "quiet"


def a_parameter_of_two_lines(given: dict[str, Any]) -> None:
    given[V1]["kernelParams"] = ["quiet\ninit=/bin/sh"]


def another_machine(given: dict[str, Any]) -> None:
    given[V1]["system"] = "aarch64-linux"


def a_name_with_a_slash(given: dict[str, Any]) -> None:
    others = given["org.nixos.specialisation.v1"]
    others["../../EFI/BOOT/BOOTX64"] = others.pop("debug")


def a_broken_specialisation(given: dict[str, Any]) -> None:
    del given["org.nixos.specialisation.v1"]["debug"][V1]["init"]


def specialisations_in_an_array(given: dict[str, Any]) -> None:
    given["org.nixos.specialisation.v1"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            without_kernel,
            f"cannot read boot.json of the NixOS system: in `{V1}` there is no `kernel`",
        ),
        (
            kernel_elsewhere,
            (
                "cannot use the NixOS system: `kernel` of its boot.json is "
                f"/nix/store/{'9' * 32}-linux/bzImage, which is not in its closure"
            ),
        ),
        (
            kernel_by_way_of_the_parent,
            (
                f"cannot use the NixOS system: `kernel` of its boot.json is {KERNEL}/../../../etc/shadow, "
                "which is not in its closure"
            ),
        ),
        (
            initrd_of_the_machine,
            (
                "cannot use the NixOS system: `initrd` of its boot.json is /boot/initrd, "
                "which is not in its closure"
            ),
        ),
        (
            only_a_newer_one,
            (
                "cannot use the NixOS system: its boot.json is org.nixos.bootspec.v2, "
                f"and osloom reads {V1}"
            ),
        ),
        (
            the_preview,
            "cannot use the NixOS system: its boot.json is a preview from before NixOS 23.05",
        ),
        (nothing_of_it, f"cannot read boot.json of the NixOS system: it has no `{V1}`"),
        (
            parameters_as_text,
            (
                f"cannot read boot.json of the NixOS system: in `{V1}` "
                "expected `array`, got `str` - at `$.kernelParams`"
            ),
        ),
        (
            a_parameter_of_two_lines,
            (
                "cannot read boot.json of the NixOS system: "
                "`kernelParams` has a word that is empty or of two lines"
            ),
        ),
        (
            another_machine,
            "cannot use the NixOS system: it is for aarch64-linux, and the image for x86_64-linux",
        ),
        (
            a_name_with_a_slash,
            (
                "cannot use the NixOS system: no file can be named for its specialisation "
                "'../../EFI/BOOT/BOOTX64'"
            ),
        ),
        (
            a_broken_specialisation,
            f"cannot read boot.json of the NixOS system: in `{V1}` there is no `init`",
        ),
        (
            specialisations_in_an_array,
            (
                "cannot read boot.json of the NixOS system: "
                "`org.nixos.specialisation.v1` is no JSON object"
            ),
        ),
    ],
)
def test_what_is_none_is_refused(change: Callable[[dict[str, Any]], None], said: str) -> None:
    changed = document()
    change(changed)
    with pytest.raises(BuildError) as caught:
        read(changed)
    assert caught.value.message == said
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"null", b'"\xff"', b"[" * 100_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(BuildError, match=r"^cannot read boot\.json of the NixOS system: "):
        read(data)
