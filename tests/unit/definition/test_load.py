"""Reading definition files."""

from pathlib import Path

import pytest

from osloom.base.errors import DefinitionError, Where
from osloom.definition.load import find_definition, load, parse
from osloom.model.definition import Definition, File, Image, Project


def test_a_definition_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "motd").write_text("hello\n")
    path = tmp_path / "osloom.toml"
    path.write_text("""
        project = { name = "edge", version = "7" }
        [image.api]
        packages = ["python3-minimal", "libc6:arm64", "vim=2:9.1.1230-2"]
        configure = "none"
        files = { "/app" = "src/", "/etc/motd" = { source = "motd", mode = "0600" } }
        sysctl = { "net.ipv4.ip_forward" = 1 }
        outputs = ["oci"]
        """)
    assert load(path) == Definition(
        project=Project(name="edge", version="7"),
        image={
            "api": Image(
                packages=("python3-minimal", "libc6:arm64", "vim=2:9.1.1230-2"),
                configure="none",
                files={"/app": "src/", "/etc/motd": File(source="motd", mode="0600")},
                sysctl={"net.ipv4.ip_forward": 1},
                outputs=("oci",),
            )
        },
    )


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse("\ufeff[image.a]\n", file="x") == Definition(image={"a": Image()})


def test_a_byte_that_is_not_utf_8_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "osloom.toml"
    path.write_bytes("[image.a]\n# é ".encode() + b"\xe9\n")
    with pytest.raises(DefinitionError) as caught:
        load(path)
    assert str(caught.value) == f"cannot read {path}: byte 0xe9 is not UTF-8"
    assert caught.value.where == Where(file=str(path), line=2, column=5)
    assert caught.value.hint == "save the file as UTF-8"


def test_a_file_that_is_not_there_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path / "osloom.toml")
    assert str(caught.value) == f"cannot find {tmp_path}/osloom.toml"
    assert caught.value.hint == "run `osloom init` to write one"


def test_a_directory_is_no_definition(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"cannot read {tmp_path}: Is a directory"


def test_a_file_below_the_current_directory_is_called_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/osloom.toml").write_text("[imagee]\n")
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path / "sub/osloom.toml")
    assert caught.value.where == Where(file="sub/osloom.toml", line=1, column=1)


def test_the_nearest_definition_above_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    (tmp_path / "osloom.toml").touch()
    (below / "osloom.toml").mkdir()
    assert find_definition(below) == tmp_path / "osloom.toml"


def test_no_definition_above_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        find_definition(tmp_path)
    assert str(caught.value) == "cannot find osloom.toml here or in any directory above"
    assert caught.value.hint == "run `osloom init` to write one"
