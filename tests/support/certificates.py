"""Keys and certificates, made by Debian's openssl."""

from dataclasses import dataclass
from pathlib import Path

from support.programs import Programs


@dataclass(frozen=True)
class Authority:
    """A private authority, and what it vouches for: this machine's loopback."""

    certificate: Path
    server_certificate: Path
    server_key: Path


def make_authority(programs: Programs, directory: Path) -> Authority:
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = name\n[name]\n")

    def certify(name: str, *more: str | Path) -> None:
        programs(
            "usr/bin/openssl",
            *("req", "-x509", "-config", config, "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-subj", f"/CN={name}", "-keyout", directory / f"{name}.key"),
            *("-out", directory / f"{name}.crt", *more),
        )

    certify("authority", "-addext", "basicConstraints=critical,CA:TRUE")
    certify(
        "server",
        *("-CA", directory / "authority.crt", "-CAkey", directory / "authority.key"),
        *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        *("-addext", "basicConstraints=CA:FALSE"),
    )
    return Authority(
        directory / "authority.crt", directory / "server.crt", directory / "server.key"
    )
