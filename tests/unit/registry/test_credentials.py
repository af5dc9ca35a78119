"""Credentials of docker and podman, from real files and a real helper."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from osloom.base.errors import FetchError
from osloom.fetch.registry.credentials import Credentials, Keyring, credential_files

HELPER = """#!/bin/sh
read -r server
echo "$server" >> "$HOME/asked"
case "$server" in
registry.example) echo '{"ServerURL":"x","Username":"helped","Secret":"s3"}' ;;
token.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"identity"}' ;;
broken.example) echo oops; exit 3 ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


def auth(username: str, password: str = "secret") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {
            "HOME": str(path),
            "XDG_RUNTIME_DIR": str(path / "run"),
            "PATH": f"{path / 'bin'}:{os.defpath}",
        }

    def write(self, place: str, content: Mapping[str, object] | str) -> Path:
        file = self.path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def helper(self, name: str = "test") -> None:
        file = self.write(f"bin/docker-credential-{name}", HELPER)
        file.chmod(0o755)

    def find(self, registry: str, repository: str = "team/app") -> Credentials | None:
        return Keyring(registry, self.environment).find(repository)

    def user(self, registry: str, repository: str = "team/app") -> str | None:
        found = self.find(registry, repository)
        return found.username if found else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_first_file_that_knows_the_registry_is_taken(home: Home) -> None:
    docker = home.write(".docker/config.json", {"auths": {"a.example": auth("docker")}})
    assert home.find("a.example") == Credentials(
        username="docker", password="secret", source=str(docker)
    )
    home.write(".config/containers/auth.json", {"auths": {"a.example": auth("settings")}})
    assert home.user("a.example") == "settings"
    home.write("run/containers/auth.json", {"auths": {"b.example": auth("other")}})
    assert home.user("a.example") == "settings"
    home.write("run/containers/auth.json", {"auths": {"a.example": auth("runtime")}})
    assert home.user("a.example") == "runtime"
    given = home.write("given.json", {"auths": {}})
    home.environment["REGISTRY_AUTH_FILE"] = str(given)
    assert home.user("a.example") is None


def test_docker_config_names_a_directory(home: Home) -> None:
    home.write("elsewhere/config.json", {"auths": {"a.example": auth("elsewhere")}})
    home.environment["DOCKER_CONFIG"] = str(home.path / "elsewhere")
    assert home.user("a.example") == "elsewhere"


def test_the_longest_key_wins(home: Home) -> None:
    home.write(
        ".docker/config.json",
        {
            "auths": {
                "a.example": auth("host"),
                "a.example/team": auth("team"),
                "a.example/team/app": auth("app"),
            }
        },
    )
    assert home.user("a.example", "team/app") == "app"
    assert home.user("a.example", "team/other") == "team"
    assert home.user("a.example", "teams/app") == "host"
    assert home.user("b.example", "team/app") is None


@pytest.mark.parametrize("key", ["https://a.example/v1/", "http://a.example", "a.example/v2/"])
def test_keys_may_be_old_addresses(home: Home, key: str) -> None:
    home.write(".docker/config.json", {"auths": {key: auth("someone")}})
    assert home.user("a.example") == "someone"


def test_docker_hub_has_a_key_of_its_own(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"https://index.docker.io/v1/": auth("me")}})
    assert home.user("docker.io", "library/debian") == "me"


def test_a_password_may_have_colons(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"a.example": auth("me", "a:b:c")}})
    found = home.find("a.example")
    assert found is not None
    assert (found.username, found.password) == ("me", "a:b:c")
    assert "a:b:c" not in repr(found)


def test_an_identity_token_is_one(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"a.example": {"identitytoken": "long"}}})
    found = home.find("a.example")
    assert found is not None
    assert found.identity_token == "long"


def test_a_helper_of_one_registry_is_asked_once(home: Home) -> None:
    home.helper()
    home.write(".docker/config.json", {"credHelpers": {"registry.example": "test"}})
    keyring = Keyring("registry.example", home.environment)
    for repository in ("one", "two"):
        found = keyring.find(repository)
        assert found is not None
        assert (found.username, found.password) == ("helped", "s3")
    assert (home.path / "asked").read_text() == "registry.example\n"


def test_a_store_of_all_is_asked_when_the_file_has_nothing(home: Home) -> None:
    home.helper()
    home.write(
        ".docker/config.json",
        {"auths": {"token.example": {}, "own.example": auth("own")}, "credsStore": "test"},
    )
    assert home.user("own.example") == "own"
    assert home.user("unknown.example") is None
    found = home.find("token.example")
    assert found is not None
    assert found.identity_token == "identity"


def test_a_helper_that_fails_is_an_error_without_what_it_said(home: Home) -> None:
    home.helper()
    home.write(".docker/config.json", {"credsStore": "test"})
    with pytest.raises(FetchError) as caught:
        home.find("broken.example")
    assert caught.value.message == (
        "cannot get the credentials of broken.example: "
        "`docker-credential-test` exited with status 3"
    )


def test_a_helper_that_is_not_there_is_named(home: Home) -> None:
    home.write(".docker/config.json", {"credsStore": "missing"})
    with pytest.raises(FetchError) as caught:
        home.find("a.example")
    assert "cannot find `docker-credential-missing`" in caught.value.message


@pytest.mark.parametrize("text", ["{", '{"auths": 3}', '{"auths": {"a.example": {"auth": "%"}}}'])
def test_a_file_that_cannot_be_read_is_named(home: Home, text: str) -> None:
    path = home.write(".docker/config.json", text)
    with pytest.raises(FetchError, match=str(path)):
        home.find("a.example")


def test_there_may_be_none(home: Home) -> None:
    assert home.find("a.example") is None
    home.write(".docker/config.json", "")
    assert home.find("a.example") is None


def test_podman_of_root_keeps_them_in_run(home: Home) -> None:
    del home.environment["XDG_RUNTIME_DIR"]
    files = [str(path) for path in credential_files(home.environment)]
    assert f"/run/containers/{os.getuid()}/auth.json" in files
