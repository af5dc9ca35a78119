"""What the firmware starts is signed where the key is, and the store keeps nothing of the key."""

import hashlib
import json
import os
import struct
import sys
from pathlib import Path

import pytest

from osloom.assemble.appliance.signing import SecureBoot, plan_finished_uki, plan_signed_loader
from osloom.base.progress import silent
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.keys.certificate import as_signer
from osloom.keys.make import make_keys
from osloom.keys.open import open_keys
from osloom.keys.sign import sign_efi
from osloom.model import authenticode
from osloom.model.blocks import blocks_of
from osloom.model.measured import kernel_boot, policies, section_digests
from osloom.model.pe import parse_program
from osloom.model.providers import Keys
from osloom.model.tree import Node, with_parents
from support.pe import make_pe
from support.secrets import secrets_of, where_secrets_are
from support.workbench import EPOCH, Workbench

LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def test_the_loader_is_signed_and_the_key_stays_where_it_is(
    workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tools of the test are made by a step of tests/support.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    make_keys(tmp_path / "keys", name="edge", now=EPOCH)
    signer = open_keys(Keys(directory="keys"), tmp_path, now=EPOCH).secure_boot
    assert signer is not None
    store = workbench.store
    loader = Node("file", 0o644, size=len(make_pe()), digest=store.blobs.add(make_pe()))
    tools = workbench.output(with_parents({LOADER: loader}, mtime=0))
    certificate = hashlib.sha256(as_signer(signer.certificate).der).hexdigest()
    own = SecureBoot(certificate=certificate, public=store.blobs.add(b"its key in PEM"))
    wanted = plan_signed_loader(own, tools, architecture="amd64", group="app")
    executor = LocalExecutor(store, slots=1, signers={certificate: lambda: signer})
    try:
        (made,) = Builder(store, executor, silent).make([wanted])
    finally:
        executor.stop()
    assert store.blobs.read(made) == sign_efi(make_pe(), signer)
    secrets = secrets_of(tmp_path / "keys")
    assert where_secrets_are(secrets, store.root) == []
    assert where_secrets_are(secrets, tmp_path / "keys")


@pytest.mark.parametrize("resets", [False, True])
def test_the_policies_of_a_uki_are_of_all_that_it_holds(
    workbench: Workbench, tmp_path: Path, *, resets: bool
) -> None:
    make_keys(tmp_path / "keys", name="edge", now=EPOCH)
    signer = open_keys(Keys(directory="keys"), tmp_path, now=EPOCH).secure_boot
    assert signer is not None
    store = workbench.store
    names = (b".osrel", b".linux", b".initrd", b".uname")
    contents = (b"ID=a".ljust(512, b"\n"), b"k" * 4096, b"i" * 1024, b"6".ljust(512, b"\n"))
    begun = bytearray(make_pe(sections=contents, names=names))
    (header,) = struct.unpack_from("<I", begun, 0x3C)
    struct.pack_into("<II", begun, header + 24 + 32, 4096, 512)
    certificate = hashlib.sha256(as_signer(signer.certificate).der).hexdigest()
    own = SecureBoot(certificate=certificate, public=store.blobs.add(b"its key in PEM"))
    wanted = plan_finished_uki(
        own,
        {"file": store.blobs.add(bytes(begun)), "root_hash": store.blobs.add(b"12" * 32)},
        ["quiet"],
        group="app",
        resets=resets,
    )
    executor = LocalExecutor(store, slots=1, signers={certificate: lambda: signer})
    try:
        (made,) = Builder(store, executor, silent).make([wanted])
    finally:
        executor.stop()
    image = store.blobs.read(made)
    program = parse_program(blocks_of(image))
    assert program.text(".cmdline") == f"roothash={'12' * 32} quiet"
    assert (".profile" in program.sections) == resets
    (signed,) = json.loads(program.text(".pcrsig")).values()
    whole = kernel_boot(section_digests(program.sections))
    assert [one["pol"] for one in signed] == [one.hex() for one in policies(whole)]
    assert len(authenticode.signatures(image)) == 1
