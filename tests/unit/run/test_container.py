"""What the command line says of a container."""

from pathlib import Path

import pytest

from osloom.base.errors import UsageError
from osloom.run.bundle import Mount
from osloom.run.container import parse_volume
from osloom.run.machine import Forward
from osloom.run.network import names, parse_forward


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("8080", Forward(host=8080, guest=8080)),
        ("8080:80", Forward(host=8080, guest=80)),
        ("0.0.0.0:8080:80", Forward(host=8080, guest=80, address="0.0.0.0")),
    ],
)
def test_a_port_is_one_of_the_loopback_unless_an_address_is_named(
    text: str, forward: Forward
) -> None:
    assert parse_forward(text) == forward


@pytest.mark.parametrize("text", ["", "http", "80:", "0", "70000:80", "a:80:80", "80:80/udp"])
def test_what_is_no_port_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_forward(text)
    assert caught.value.message == f"cannot read the port `{text}`"
    assert caught.value.hint == "write it as 8080:80"


def test_a_volume_starts_where_the_caller_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(tmp_path)
    assert parse_volume(".:/srv") == Mount(source=source, destination="/srv")
    assert parse_volume(".:/srv:ro") == Mount(source=source, destination="/srv", read_only=True)


@pytest.mark.parametrize("text", ["", "/srv", ".:srv", ".:/srv:rx", ":/srv"])
def test_what_is_no_volume_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the volume"):
        parse_volume(text)


def test_a_volume_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        parse_volume(f"{tmp_path}/data:/srv")
    assert caught.value.message == f"cannot mount {tmp_path}/data: there is nothing"


def test_a_network_without_a_way_out_has_no_name_server() -> None:
    assert names("none", "api").resolver == ""
    assert "127.0.0.1 localhost api\n" in names("none", "api").hosts
