"""Registries that are open only to some: certificates, passwords, tokens, helpers."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.certificates import Authority, make_authority
from support.programs import Programs
from support.registry import running
from support.tokens import IDENTITY, serving_tokens


@pytest.fixture(scope="module")
def authority(registry_programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(registry_programs, tmp_path_factory.mktemp("authority"))


def login(directory: Path, address: str, **entry: str) -> str:
    """A file as `docker login` writes it; its directory."""
    (directory / "docker").mkdir(exist_ok=True)
    (directory / "docker/config.json").write_text(json.dumps({"auths": {address: entry}}))
    return str(directory / "docker")


def pair(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_private_authority_is_trusted_when_it_is_given(
    shop: Workshop, registry_programs: Programs, authority: Authority, tmp_path: Path
) -> None:
    settings = _tls(authority)
    with running(registry_programs.root, tmp_path / "registry", settings) as server:
        push = ("push", "one", "--to", server.address)
        shop(*push, "--ca", str(authority.certificate)).check()
        shop(*push, OSLOOM_REGISTRY_CA=str(authority.certificate)).check()
        place = tmp_path / ".config/containers/certs.d" / server.address
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(authority.certificate.read_bytes())
        shop(*push, HOME=str(tmp_path)).check()
        done = shop(*push)
    assert done.status == 1
    assert done.stderr == (
        f"error: cannot trust {server.address}: its certificate is not valid here: "
        "unable to get local issuer certificate\n"
        "hint: for a private authority give its certificate with `--ca FILE`, "
        f"or put it at /etc/containers/certs.d/{server.address}/ca.crt\n"
    )


def _tls(authority: Authority) -> dict[str, Any]:
    certificate, key = str(authority.server_certificate), str(authority.server_key)
    return {"http": {"tls": {"certificate": certificate, "key": key}}}


def test_a_name_and_a_password_open_a_registry(
    shop: Workshop, registry_programs: Programs, authority: Authority, tmp_path: Path
) -> None:
    hashed = registry_programs("usr/bin/htpasswd", "-nbB", "user", "secret")
    (tmp_path / "htpasswd").write_text(hashed)
    basic = {"htpasswd": {"realm": "the test", "path": str(tmp_path / "htpasswd")}}
    settings = {**_tls(authority), "auth": basic}
    with running(registry_programs.root, tmp_path / "registry", settings) as server:
        push = ("push", "one", "--to", server.address, "--ca", str(authority.certificate))
        none = shop(*push, DOCKER_CONFIG=str(tmp_path), HOME=str(tmp_path))
        docker = login(tmp_path, server.address, auth=pair("user:wrong"))
        wrong = shop(*push, DOCKER_CONFIG=docker, HOME=str(tmp_path))
        login(tmp_path, server.address, auth=pair("user:secret"))
        shop(*push, DOCKER_CONFIG=docker, HOME=str(tmp_path)).check()
        before = len(server.requests())
        shop(*push, DOCKER_CONFIG=docker, HOME=str(tmp_path)).check()
        unchanged = server.since(before)
    advice = f"`podman login {server.address}` or `docker login {server.address}`\n"
    assert none.stderr == (
        f"error: cannot log in to {server.address}: it wants credentials, and there are none\n"
        f"hint: log in: {advice}"
    )
    assert wrong.stderr == (
        f"error: cannot log in to {server.address}: it refuses `user` of {docker}/config.json\n"
        f"hint: log in again: {advice}"
    )
    assert unchanged == ["GET /v2/ 401", "HEAD /v2/one/manifests/1.2 200"]


def test_tokens_open_a_registry_to_each_as_far_as_he_may(
    shop: Workshop, registry_programs: Programs, authority: Authority, tmp_path: Path
) -> None:
    with serving_tokens(registry_programs, authority, tmp_path) as tokens:
        settings = {**_tls(authority), **tokens.settings(authority)}
        with running(registry_programs.root, tmp_path / "registry", settings) as server:
            given = ("--ca", str(authority.certificate))
            to = ("--to", f"{server.address}/open")
            home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
            refused = shop("push", *to, *given, **home)
            docker = login(tmp_path, server.address, auth=pair("user:secret"))
            shop("push", *to, *given, **{**home, "DOCKER_CONFIG": docker}).check()
            mounts = [one for one in server.requests() if "mount=" in one]
            login(tmp_path, server.address, identitytoken=IDENTITY)
            shop("push", *to, *given, **{**home, "DOCKER_CONFIG": docker}).check()
            anonymous = ("pull", f"{server.address}/open/one:1.2", "--to", str(tmp_path / "pulled"))
            shop(*anonymous, *given, **home).check()
    assert refused.status == 1
    assert refused.stderr == (
        f"error: cannot log in to {server.address}: it wants credentials, and there are none\n"
        f"hint: log in: `podman login {server.address}` or `docker login {server.address}`\n"
    )
    assert mounts
    assert all(one.endswith(" 201") for one in mounts)
    assert {who for who, _ in tokens.asked} == {"", "user", "identity"}
    assert ("", ("repository:open/one:pull",)) in tokens.asked
    # One token does for everything in a repository, and one more for each that is mounted from.
    asked = [scopes for who, scopes in tokens.asked if who == "user"]
    assert len(asked) == len(set(asked)) <= 4


def test_a_credential_helper_is_asked(
    shop: Workshop, registry_programs: Programs, tmp_path: Path
) -> None:
    hashed = registry_programs("usr/bin/htpasswd", "-nbB", "user", "secret")
    (tmp_path / "htpasswd").write_text(hashed)
    basic = {"htpasswd": {"realm": "the test", "path": str(tmp_path / "htpasswd")}}
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\necho \'{"Username": "user", "Secret": "secret"}\'\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "test"}')
    path = f"{tmp_path}:{os.environ['PATH']}"
    with running(registry_programs.root, tmp_path / "registry", {"auth": basic}) as server:
        given = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "PATH": path}
        shop("push", "one", "--to", server.address, **given).check()
