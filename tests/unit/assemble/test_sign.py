"""A step signs EFI programs, and keeps nothing of the key."""

from pathlib import Path

from msgspec.structs import replace

from osloom.assemble.request import Product
from osloom.assemble.sign import plan_signed
from osloom.keys.make import make_keys
from osloom.keys.open import open_keys
from osloom.keys.places import find_place
from osloom.keys.sign import sign_efi
from osloom.model.definition import Image
from osloom.model.providers import Keys
from osloom.model.tree import Node, Tree, with_parents
from support.pe import make_pe
from support.secrets import secrets_of, where_secrets_are
from support.workbench import EPOCH, Workbench


def test_a_program_of_the_tools_or_of_a_step_is_signed(
    workbench: Workbench, tmp_path: Path
) -> None:
    used, blobs = Keys(directory="keys"), workbench.store.blobs
    make_keys(tmp_path / "keys", name="edge", now=EPOCH)
    place = find_place(used, "secure-boot", tmp_path)
    assert place is not None
    certificate = blobs.add(place.public.read_bytes())
    loader = Node("file", 0o644, size=len(make_pe()), digest=blobs.add(make_pe()))
    tools = workbench.output(with_parents({"usr/lib/loader.efi": loader}, mtime=0))
    request = replace(workbench.request(Image(), Tree()), tools=tools)

    once = plan_signed(request, place, certificate, "usr/lib/loader.efi")
    twice = plan_signed(request, place, certificate, once)
    made = workbench.make(tuple(Product(path="app.efi", output=one) for one in (once, twice)))

    signer = open_keys(used, tmp_path, now=EPOCH).secure_boot
    assert signer is not None
    expected = sign_efi(make_pe(), signer)
    assert [blobs.read(one) for one in made] == [expected, sign_efi(expected, signer)]
    secrets = secrets_of(tmp_path / "keys")
    assert where_secrets_are(secrets, workbench.store.root) == []
    assert where_secrets_are(secrets, tmp_path / "keys")
