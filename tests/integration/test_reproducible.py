"""The same bytes whoever builds, wherever."""

from pathlib import Path

from integration.conftest import Workshop


def test_a_build_elsewhere_is_identical(example: Workshop) -> None:
    done = example("verify").check()
    assert done.stdout.splitlines() == [
        "app/app.oci: identical",
        "machine/machine.nspawn.tar.gz: identical",
        "server/server.raw: identical",
    ]


_YEARS = """
[project]
name = "years"

[image.box]
packages = ["coreutils", "dash"]
configure = "none"
outputs = ["tar"]

[[image.box.script]]
run = "date +%Y >/etc/year-of-build; date -r /etc/year-of-build +%Y >/etc/year-of-file"
"""


def test_the_second_build_is_on_another_day(tmp_path: Path, store: Path) -> None:
    (tmp_path / "osloom.toml").write_text(_YEARS)
    box = Workshop(tmp_path, store)
    box("lock").check()
    done = box("verify", "--json")
    assert done.status == 1, done.stderr
    (verdict,) = done.json
    assert verdict["difference"]["path"] == "box/box.tar"
    assert verdict["difference"]["inside"].startswith("/etc/year-of-build: file 0644 ")


def test_a_difference_is_found_and_named(tmp_path: Path) -> None:
    from osloom.api.verify import first_byte, first_difference
    from osloom.model.tree import Node, Tree

    (tmp_path / "a").write_bytes(b"x" * 5000 + b"a")
    (tmp_path / "b").write_bytes(b"x" * 5000 + b"b")
    assert first_byte(tmp_path / "a", tmp_path / "b") == 5000
    assert first_byte(tmp_path / "a", tmp_path / "a") is None
    one = Tree({"etc": Node("dir", 0o755), "etc/x": Node("dir", 0o700)})
    other = Tree({"etc": Node("dir", 0o755), "etc/x": Node("dir", 0o711)})
    assert first_difference(one, other) == "/etc/x: dir 0700, then dir 0711"
