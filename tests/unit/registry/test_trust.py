"""Which hosts are this machine, and where certificates are looked for."""

from pathlib import Path

import pytest

from osloom.base.errors import FetchError
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.trust import certificate_directories
from osloom.fetch.trust import is_loopback, make_context


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_certificates_are_looked_for_by_host_and_port() -> None:
    found = certificate_directories("host.example:5000", {"HOME": "/home/me"})
    assert [str(path) for path in found] == [
        "/home/me/.config/containers/certs.d/host.example:5000",
        "/etc/containers/certs.d/host.example:5000",
        "/etc/docker/certs.d/host.example:5000",
    ]


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(FetchError, match=r"ca\.crt: it holds no certificate"):
        make_context([tmp_path], None)
    with pytest.raises(FetchError, match="missing: No such file or directory"):
        make_context([], tmp_path / "missing")


@pytest.mark.parametrize(
    ("base", "url", "is_allowed"),
    [
        ("https://host", "https://elsewhere.example/blob", True),
        ("https://host", "http://host/blob", False),
        ("https://host", "http://127.0.0.1/blob", False),
        ("https://host", "https://user:secret@host/blob", False),
        ("https://host", "file:///etc/passwd", False),
        ("https://host", "https://host:x/", False),
        ("https://host", "https:///blob", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:9000/blob", True),
        ("http://127.0.0.1:5000", "ftp://127.0.0.1/blob", False),
    ],
)
def test_nothing_leads_from_tls_to_plain_http(base: str, url: str, is_allowed: bool) -> None:
    client = Client("host")
    client._base = base
    if is_allowed:
        client._check_target(url)
    else:
        with pytest.raises(FetchError):
            client._check_target(url)
