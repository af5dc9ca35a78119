"""New keys are whole, private, and never overwrite anything."""

import stat
from pathlib import Path

import pytest

from osloom.base.errors import Error, UsageError
from osloom.keys import make
from osloom.keys.certificate import load_certificate
from osloom.keys.make import make_keys
from osloom.model.efi_variable import VARIABLES, signed_part


def modes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in (directory, *sorted(directory.rglob("*")))
    }


def test_private_files_are_for_their_owner_alone(keys: Path) -> None:
    assert modes(keys) == {
        ".": "0o700",
        ".gitignore": "0o644",
        "release.key": "0o600",
        "release.pub": "0o644",
        "secure-boot": "0o700",
        "secure-boot/KEK.auth": "0o644",
        "secure-boot/KEK.crt": "0o644",
        "secure-boot/KEK.key": "0o600",
        "secure-boot/PK.auth": "0o644",
        "secure-boot/PK.crt": "0o644",
        "secure-boot/PK.key": "0o600",
        "secure-boot/db.auth": "0o644",
        "secure-boot/db.crt": "0o644",
        "secure-boot/db.key": "0o600",
        "verity.crt": "0o644",
        "verity.key": "0o600",
    }


def test_a_certificate_says_whose_it_is_and_lasts_as_long_as_a_device(keys: Path) -> None:
    found = load_certificate(keys / "secure-boot/db.crt")
    assert found.subject.rfc4514_string() == "CN=edge db"
    assert f"{found.not_valid_before_utc:%Y} {found.not_valid_after_utc:%Y}" == "2026 2046"
    assert found.serial_number.bit_length() > 64


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """As Python reads `x` and the byte 0xff of the command line."""
    with pytest.raises(UsageError) as caught:
        make_keys(tmp_path / "keys", name="x\udcff", now=1_700_000_000)
    assert (caught.value.message, caught.value.hint) == (
        "cannot make keys for `x\\udcff`: the name is not UTF-8",
        "give another with `--name`",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["verity.key", "notes.txt"])
def test_what_is_there_is_not_overwritten(tmp_path: Path, there: str, now: int) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(Error) as caught:
        make_keys(tmp_path, name="edge", now=now)
    assert caught.value.message == (
        f"cannot make keys in {tmp_path}: something is there, and nothing is overwritten"
    )
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_who_comes_second_at_the_same_moment_overwrites_nothing(
    tmp_path: Path, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "keys"
    write = make._write

    def meanwhile(path: Path, content: bytes) -> None:
        place.mkdir(exist_ok=True)
        (place / "release.key").write_text("theirs")
        write(path, content)

    monkeypatch.setattr(make, "_write", meanwhile)
    with pytest.raises(Error, match=r"cannot make keys in .*: Directory not empty"):
        make_keys(place, name="edge", now=now)
    assert (place / "release.key").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = make._write

    def full(path: Path, content: bytes) -> None:
        if path.name == "db.key":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(make, "_write", full)
    with pytest.raises(Error, match=r"cannot make keys in .*: No space left on device"):
        make_keys(tmp_path / "keys", name="edge", now=now)
    assert list(tmp_path.iterdir()) == []


def test_an_update_holds_the_time_the_list_and_the_certificate(keys: Path, now: int) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    for name in VARIABLES:
        update = (keys / f"secure-boot/{name}.auth").read_bytes()
        der = load_certificate(keys / f"secure-boot/{name}.crt").public_bytes(Encoding.DER)
        assert update[:16].hex() == "ea0709150e0d1400" + "00" * 8  # 2026-09-21 14:13:20 UTC
        length = int.from_bytes(update[16:20], "little")
        content = update[16 + length :]
        assert content[16:28] == b"".join(
            number.to_bytes(4, "little") for number in (44 + len(der), 0, 16 + len(der))
        )
        assert content[44:] == der
        assert signed_part(name, content, now).startswith(name.encode("utf-16-le"))
