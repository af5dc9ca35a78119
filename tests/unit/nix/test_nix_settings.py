"""nix.conf, as Nix reads it."""

from pathlib import Path

import pytest

from osloom.base.errors import FetchError
from osloom.sources.nix.settings import Settings, load_settings

NIXOS = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="


def load(directory: Path, **environment: str) -> Settings:
    given = {"NIX_CONF_DIR": str(directory), "HOME": str(directory / "home"), **environment}
    return load_settings(given)


def test_without_nix_it_is_what_nix_has_by_default(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.substituters == ("https://cache.nixos.org/",)
    assert found.keys == (NIXOS,)
    assert found.netrc == f"{tmp_path}/netrc"
    assert found.patience == 30


def test_later_files_win_and_extra_adds(tmp_path: Path) -> None:
    (tmp_path / "nix.conf").write_text(
        "# of the host\n"
        "substituters = https://a https://b # and no more\n"
        "extra-substituters = ssh://machine /srv/cache\n"
        "!include absent.conf\n"
        "include more.conf\n"
        "cores = 4\n"
        "trusted-users =\n"
    )
    (tmp_path / "more.conf").write_text("extra-trusted-public-keys = k-1:abc\n")
    user = tmp_path / "home/.config/nix"
    user.mkdir(parents=True)
    (user / "nix.conf").write_text("extra-binary-caches = https://c\nnetrc-file = /n\n")
    found = load(tmp_path)
    assert found.substituters == ("https://a", "https://b", "/srv/cache", "https://c")
    assert found.keys == (NIXOS, "k-1:abc")
    assert found.netrc == "/n"
    text = "trusted-public-keys = x-1:y\nstalled-download-timeout = 7"
    found = load(tmp_path, NIX_CONFIG=text, NIX_USER_CONF_FILES="")
    assert found.substituters == ("https://a", "https://b", "/srv/cache")
    assert found.keys == ("x-1:y",)
    assert found.patience == 7


@pytest.mark.parametrize("silence", ["0", "²", "soon", "9" * 5000])
def test_a_patience_that_is_no_number_is_the_usual_one(tmp_path: Path, silence: str) -> None:
    assert load(tmp_path, NIX_CONFIG=f"stalled-download-timeout = {silence}").patience == 30


def test_the_first_of_the_users_files_wins(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"substituters = https://{name}\n")
    files = f"{tmp_path}/one:{tmp_path}/two"
    assert load(tmp_path, NIX_USER_CONF_FILES=files).substituters == ("https://one",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("substituters https://a", "nix.conf:1: `substituters https://a` is no setting"),
        ("\n=", "nix.conf:2: `=` is no setting"),
        ("include absent.conf", "absent.conf, which nix.conf includes: No such file"),
        ("include nix.conf", "files include each other without end"),
    ],
)
def test_what_nix_would_refuse(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nix.conf").write_text(text)
    with pytest.raises(FetchError) as caught:
        load(tmp_path)
    assert message in caught.value.message


def test_stores_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "root/nix/store").mkdir(parents=True)
    there = (f"{tmp_path}/root/nix/store",)
    assert load(tmp_path, NIX_REMOTE=f"{tmp_path}/root").stores == there
    assert load(tmp_path, NIX_REMOTE=f"local?root={tmp_path}/root").stores == there
    assert load(tmp_path, NIX_REMOTE=f"{tmp_path}/absent").stores == ()
    own = tmp_path / "home/.local/share/nix/root/nix/store"
    own.mkdir(parents=True)
    assert str(own) in load(tmp_path).stores
