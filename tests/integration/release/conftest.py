"""Who signs releases, who checks them, and where they are published."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from osloom.keys.openpgp import ReleaseSigner
from osloom.keys.sign import keyring as in_binary
from support.programs import Programs
from support.publishing import Gpg, make_signer
from support.s3 import KEY, S3, SECRET, s3
from support.webdav import WebDav
from support.webdav import webdav as serve_webdav


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(
        tmp_path_factory.mktemp("release-programs"), store, "gpgv", "nginx", "coreutils"
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def signer(keys: Path) -> ReleaseSigner:
    return make_signer(keys / "own")


@pytest.fixture(scope="module")
def webdav(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[WebDav]:
    with serve_webdav(tmp_path_factory.mktemp("webdav"), programs) as server:
        yield server


@pytest.fixture(scope="module")
def gpg(programs: Programs, keys: Path, signer: ReleaseSigner) -> Gpg:
    keyring = keys / "import-pubring.gpg"
    keyring.write_bytes(in_binary(signer.public))
    return Gpg(programs, keyring)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with s3() as server:
        yield server
