"""What a definition says of Nix: both ways of writing it, and what contradicts it."""

import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from osloom.base.errors import DefinitionError
from osloom.definition.load import parse
from osloom.definition.schema import json_schema
from osloom.model.definition import NixPackages

HASH = "0123456789abcdfghijklmnpqrsvwxyz"
KEY = f"k-1:{'A' * 43}="
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def nix_of(text: str, image: str = "a") -> NixPackages:
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []
    return parse(text, file="osloom.toml").image[image].nix


def test_an_array_is_the_table_with_packages() -> None:
    short = nix_of('[image.a]\nnix = ["nixpkgs#hello"]\n')
    assert short == nix_of('[image.a.nix]\npackages = ["nixpkgs#hello"]\n')
    assert short == NixPackages(packages=("nixpkgs#hello",))


def test_arrays_and_tables_add_up_when_they_are_inherited() -> None:
    text = """
        [image.base]
        nix = [".#one", ".#two"]
        [image.a]
        from = "base"
        [image.a.nix]
        packages = [".#two", ".#three"]
        installed = true
        [image.b]
        from = "a"
        nix = [".#four"]
    """
    assert nix_of(text) == NixPackages(packages=(".#one", ".#two", ".#three"), installed=True)
    packages = (".#one", ".#two", ".#three", ".#four")
    assert nix_of(text, "b") == NixPackages(packages=packages, installed=True)


def test_a_system_is_named_with_the_packages() -> None:
    system = ".#nixosConfigurations.gateway"
    text = f'[image.a]\nnixos = "{system}"\noutputs = ["disk"]\nkernel-command-line = ["quiet"]\n'
    assert parse(text, file="osloom.toml").image["a"].installables == (system,)


WRONG = {
    "a word in place of the array": (
        '[image.a]\nnix = "nixpkgs#hello"\n',
        (
            "2:1 `nix` has to be an array of strings or a table, not a string"
            ' | put it in brackets: `["nixpkgs#hello"]`'
        ),
    ),
    "a number in the array": (
        "[image.a]\nnix = [\n  'nixpkgs#hello',\n  1 ]\n",
        '4:3 item 2 of `nix` has to be a string, not a number | put it in quotes: `"1"`',
    ),
    "an unknown key in the table": (
        "[image.a]\nnix = { package = [] }\n",
        "2:9 unknown key `package` | did you mean `packages`?",
    ),
    "a name without a flake": (
        '[image.a]\nnix = [".#app",\n  "kubectl"]\n',
        (
            "3:3 `kubectl` is neither a flake with an attribute nor a store path"
            " | did you mean `nixpkgs#kubectl`?"
        ),
    ),
    "a flake without an attribute": (
        '[image.a.nix]\npackages = ["github:owner/flake"]\n',
        (
            "2:13 `github:owner/flake` is neither a flake with an attribute nor a store path"
            " | write `FLAKE#ATTRIBUTE`"
        ),
    ),
    "an empty attribute": (
        '[image.a]\nnix = [".#"]\n',
        "2:8 `.#` names no attribute | write it as in `.#default`",
    ),
    "an option for Nix": (
        '[image.a]\nnix = ["--impure#app"]\n',
        "2:8 `--impure` is no flake | write `FLAKE#ATTRIBUTE`",
    ),
    "an attribute of no flake": (
        '[image.a]\nnixos = "#gateway"\n',
        "2:1 `#gateway` names no flake | write it as in `.#gateway`",
    ),
    "a file in a store path": (
        f'[image.a]\nnix = ["/nix/store/{HASH}-app/bin/app"]\n',
        (
            f"2:8 cannot use `/nix/store/{HASH}-app/bin/app` as a store path: it is not directly below"
            f" /nix/store | did you mean `/nix/store/{HASH}-app`?"
        ),
    ),
    "a derivation": (
        f'[image.a]\nnix = ["/nix/store/{HASH}-app.drv"]\n',
        (
            f"2:8 `/nix/store/{HASH}-app.drv` is a derivation, and not what it builds"
            " | name the path that `nix-store --realise` gives for it"
        ),
    ),
    "a store path for several machines": (
        f'[image.a]\nnix = ["/nix/store/{HASH}-app"]\narchitectures = ["amd64", "arm64"]\n',
        (
            f"2:8 `/nix/store/{HASH}-app` is for one machine, and the image is for several"
            " | name a flake, which is evaluated for each, or keep one of `architectures`"
        ),
    ),
    "a cache of the web without keys": (
        '[[nix.cache]]\nurl = "https://cache.example.com"\n[image.a]\n',
        (
            "1:7 the cache `https://cache.example.com` has no keys, so nothing of it could be trusted"
            " | add `keys`: whoever runs it says what its public key is"
        ),
    ),
    "a cache twice": (
        (
            f'[nix]\ncache = [{{ url = "https://c.example", keys = ["{KEY}"] }},\n'
            f' {{ url = "https://c.example", keys = ["{KEY}"] }}]\n[image.a]\n'
        ),
        "3:4 the cache `https://c.example` is there twice | keep one",
    ),
    "overrides of no flake": (
        '[nix.overrides]\nnixpkgs = "github:NixOS/nixpkgs"\n[image.a]\n',
        (
            "1:6 no image takes anything from a flake, and `overrides` are for inputs of flakes"
            " | leave it out"
        ),
    ),
    "another system": (
        '[nix]\nsystem = "aarch64-linux"\n[image.a]\nnix = [".#app"]\n',
        (
            "2:1 `system` is `aarch64-linux`, and the image `a` is for amd64"
            " | leave `system` out: each image's own is taken"
        ),
    ),
    "a system that is misspelt": (
        '[nix]\nsystem = "x86-linux"\n[image.a]\nnix = [".#app"]\n',
        (
            "2:1 `system` is `x86-linux`, and the image `a` is for amd64"
            " | did you mean `x86_64-linux`? It may be left out"
        ),
    ),
    "a database of nothing": (
        "[image.a.nix]\ninstalled = true\n",
        (
            "2:1 `installed` is for an image that takes packages from Nix"
            " | add `packages` to the table `nix`"
        ),
    ),
    "a container that is to be added to": (
        '[image.a]\noutputs = ["oci"]\n[image.a.nix]\nwritable = true\n',
        (
            "4:1 `writable` is for a machine, and the image is only a container"
            " | leave it out: what a container writes is above its layers anyway"
        ),
    ),
    "a system that is to be added to": (
        '[image.a]\nnixos = ".#gateway"\nnix = { writable = true }\n',
        (
            "3:9 `writable` cannot be beside `nixos`, which says all of the image"
            " | say in the configuration of the system what is mounted at /nix"
        ),
    ),
    "packages of Debian beside a system": (
        '[image.a]\nnixos = ".#gateway"\npackages = ["vim"]\n',
        (
            "3:1 `packages` cannot be beside `nixos`, which says all of the image"
            " | say it in the configuration of the system"
        ),
    ),
    "packages of Nix beside a system": (
        '[image.a]\nnixos = ".#gateway"\nnix = [".#app"]\n',
        (
            "3:1 `nix` packages cannot be beside `nixos`, which says all of the image"
            " | add them to `environment.systemPackages` of the system"
        ),
    ),
    "a debug variant of a system": (
        '[image.a]\nnixos = ".#gateway"\noutputs = ["oci"]\noci.debug = true\n',
        (
            "4:5 a NixOS system has no debug variant: its systemd has to be the first process"
            " | leave it out; `osloom shell` brings the tools"
        ),
    ),
    "what is inherited beside a system": (
        '[image.b]\nhostname = "b"\n[image.a]\nfrom = "b"\nnixos = ".#gateway"\n',
        (
            "3:8 `hostname` cannot be beside `nixos`, which says all of the image"
            " | say it in the configuration of the system"
        ),
    ),
    "a base image below a system": (
        '[image.a]\nfrom = "oci:docker.io/debian"\nnixos = ".#gateway"\n',
        (
            "2:1 `from` cannot be beside `nixos`, which says all of the image"
            " | say it in the configuration of the system"
        ),
    ),
    "a part of a store path to leave out": (
        '[image.a]\nnix = [".#app"]\nremove = ["/usr/share/doc", "/nix/store/*/share"]\n',
        (
            "3:29 `/nix/store/*/share` is in the store of Nix, where each path is whole or not there"
            " | leave a package out of `nix` instead"
        ),
    ),
    "tools of a debug variant": (
        '[image.b]\noutputs = ["oci"]\n[image.a]\ndebug-of = "b"\nnix = [".#app"]\n',
        "5:1 the tools of a debug variant are packages of Debian | name them in `packages`",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_has_its_place_and_its_mend(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text, file="osloom.toml")
    error = caught.value
    assert error.where is not None
    hint = f" | {error.hint}" if error.hint else ""
    assert f"{error.where.line}:{error.where.column} {error.message}{hint}" == said


def test_what_is_inherited_is_told_once() -> None:
    text = '[image.b]\nnix = ["kubectl"]\n[image.a]\nfrom = "b"\n[image.c]\nfrom = "a"\n'
    with pytest.raises(DefinitionError) as caught:
        parse(text, file="osloom.toml", directory=Path())
    assert caught.value.detail == ""


def test_a_directory_as_cache_needs_no_keys_and_what_is_added_to_needs_no_packages() -> None:
    nix = nix_of('[[nix.cache]]\nurl = "file:///srv/cache"\n[image.a]\nnix = { writable = true }\n')
    assert nix.writable
