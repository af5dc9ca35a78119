"""What the firmware starts is signed where the key is, and the store keeps nothing of the key."""

import hashlib
from pathlib import Path

from osloom.assemble.appliance.signing import SecureBoot, plan_signed_loader
from osloom.base.progress import silent
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.keys.certificate import as_signer
from osloom.keys.make import make_keys
from osloom.keys.open import open_keys
from osloom.keys.sign import sign_efi
from osloom.model.providers import Keys
from osloom.model.tree import Node, with_parents
from support.pe import make_pe
from support.secrets import secrets_of, where_secrets_are
from support.workbench import EPOCH, Workbench

LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def test_the_loader_is_signed_and_the_key_stays_where_it_is(
    workbench: Workbench, tmp_path: Path
) -> None:
    make_keys(tmp_path / "keys", name="edge", now=EPOCH)
    signer = open_keys(Keys(directory="keys"), tmp_path, now=EPOCH).secure_boot
    assert signer is not None
    store = workbench.store
    loader = Node("file", 0o644, size=len(make_pe()), digest=store.blobs.add(make_pe()))
    tools = workbench.output(with_parents({LOADER: loader}, mtime=0))
    certificate = hashlib.sha256(as_signer(signer.certificate).der).hexdigest()
    wanted = plan_signed_loader(
        SecureBoot(certificate=certificate), tools, architecture="amd64", group="app"
    )
    executor = LocalExecutor(store, slots=1, signers={certificate: lambda: signer})
    try:
        (made,) = Builder(store, executor, silent).make([wanted])
    finally:
        executor.stop()
    assert store.blobs.read(made) == sign_efi(make_pe(), signer)
    secrets = secrets_of(tmp_path / "keys")
    assert where_secrets_are(secrets, store.root) == []
    assert where_secrets_are(secrets, tmp_path / "keys")
