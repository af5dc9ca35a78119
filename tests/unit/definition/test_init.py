"""What `osloom init` starts with."""

import json
from pathlib import Path

import pytest

from osloom.base.errors import UsageError
from osloom.definition.init import TEMPLATES, init, project_name, template
from osloom.definition.load import load, parse
from osloom.definition.schema import json_schema


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("appliance", {"gateway": ("disk",)}),
        ("all", {"app": ("oci",), "base": (), "machine": ("nspawn",), "server": ("disk",)}),
        ("container", {"app": ("oci",), "app-debug": ("oci",)}),
        ("machine", {"machine": ("nspawn", "tar")}),
        ("server", {"base": (), "machine": ("nspawn",), "server": ("disk",)}),
    ],
)
def test_a_template_makes_what_it_says(name: str, outputs: dict[str, tuple[str, ...]]) -> None:
    definition = parse(template(name), file=name)
    assert {image: one.outputs for image, one in definition.image.items()} == outputs


def test_every_template_is_tested_and_names_the_schema_first() -> None:
    assert {name: template(name).splitlines()[0] for name in TEMPLATES} == dict.fromkeys(
        ["appliance", "all", "container", "machine", "server"], "#:schema ./osloom.schema.json"
    )


def test_a_definition_and_its_schema_are_written(tmp_path: Path) -> None:
    directory = tmp_path / "My Edge"
    assert init(directory) == (directory / "osloom.schema.json", directory / "osloom.toml")
    assert json.loads((directory / "osloom.schema.json").read_text()) == json_schema()
    assert load(directory / "osloom.toml").project.name == "my-edge"


def test_a_definition_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "osloom.toml").write_text("mine")
    with pytest.raises(UsageError) as caught:
        init(tmp_path)
    assert str(caught.value) == "cannot write osloom.toml: there is one already"
    assert caught.value.hint == "remove it first, or use another directory"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"osloom.toml": "mine"}


def test_an_unknown_template_is_answered_with_the_nearest_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError) as caught:
        init(tmp_path, "contaner")
    assert str(caught.value) == "cannot find the template `contaner`"
    assert caught.value.hint == "did you mean `container`?"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught:
        init(tmp_path / "file" / "below")
    assert str(caught.value) == f"cannot write into {tmp_path}/file/below: Not a directory"


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("/srv/edge", "edge"),
        ("/srv/My App", "my-app"),
        ("/srv/.x_", "x"),
        ("/", "example"),
        ("/ü", "example"),
    ],
)
def test_a_project_is_called_as_its_directory(directory: str, name: str) -> None:
    assert project_name(Path(directory)) == name
