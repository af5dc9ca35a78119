"""The JSON schema says what the loader says."""

import tomllib
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from osloom.base.errors import DefinitionError
from osloom.definition.init import TEMPLATES, template
from osloom.definition.load import parse
from osloom.definition.schema import DIALECT, json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == DIALECT


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_schema_accepts_every_template(name: str) -> None:
    assert list(VALIDATOR.iter_errors(tomllib.loads(template(name)))) == []


GOOD = {
    "the least": "[image.a]\n",
    "one content a file": '[image.a.files]\n"/a" = "x"\n"/b" = { directory = true }\n',
    "numbers and texts as kernel parameters": "[image.a.sysctl]\na = 1\nb = 'x'\n",
    "an array of tables": "[[image.a.test]]\nrun = 'true'\noutputs = ['oci']\n",
}
BAD = {
    "no image": "",
    "an empty table of images": "[image]\n",
    "a misspelt key": "[image.a]\npakages = []\n",
    "a misspelt key in a table of tables": "[image.a.users.b]\nuuid = 1\n",
    "a wrong type": "[image.a]\npackages = 1\n",
    "a wrong choice": "[image.a]\noutputs = ['x']\n",
    "a wrong name": "[image.A]\n",
    "a wrong user name": "[image.a.users.B]\n",
    "a relative path": "[image.a.files]\nb = 'x'\n",
    "a number out of range": "[image.a.oci]\nports = [65536]\n",
    "a text out of its pattern": "[image.a.systemd]\nmask = ['a b']\n",
    "a missing key": "[[image.a.script]]\nname = 'x'\n",
    "a file with two contents": "[image.a.files]\n'/x' = { text = '', link = 'y' }\n",
    "a file with no content": "[image.a.files]\n'/x' = { directory = false }\n",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_what_the_loader_accepts_the_schema_accepts(text: str) -> None:
    parse(text, file="osloom.toml")
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_the_loader_refuses_the_schema_refuses(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse(text, file="osloom.toml")
    assert not VALIDATOR.is_valid(tomllib.loads(text))


def test_every_key_is_described_and_no_table_takes_others() -> None:
    schema = json_schema()
    tables: dict[str, Any] = {"the file": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, one in table["properties"].items()
        if not one.get("description")
    ]
    assert silent == []
    assert {table["additionalProperties"] for table in tables.values()} == {False}


def test_a_key_that_may_be_left_out_is_plain_for_editors() -> None:
    assert json_schema()["$defs"]["Disk"]["properties"]["swap"] == {
        "description": "Of an appliance's swap partition; none by default.\n\n"
        "It is bytes, or a number with K, M, G or T behind it.",
        "examples": ["512M"],
        "type": "string",
        "pattern": "^[0-9]{1,15}[KMGT]?$",
    }
