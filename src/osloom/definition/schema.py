"""The JSON schema of `osloom.toml`, 2020-12, for editors and other programs.

Made from the same types that the loader checks with. An editor finds it by the first line of the
definition: `#:schema ./osloom.schema.json`.
"""

import json
from typing import Any

import msgspec

from osloom.definition import docstrings
from osloom.definition.kinds import bare, fields, said_beside
from osloom.model.definition import Definition, Image
from osloom.model.providers import Table

FILE = "osloom.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    made = msgspec.json.schema(Definition)
    definitions = {
        name: _documented(_without_null(one), _table(name)) for name, one in made["$defs"].items()
    }
    definitions["File"]["oneOf"] = [
        *({"required": [key]} for key in ("source", "text", "link")),
        {"required": ["directory"], "properties": {"directory": {"const": True}}},
    ]
    for key, field in fields(Image).items():
        short = said_beside(field.kind, "array")
        if short:
            whole = definitions["Image"]["properties"][key]
            items = definitions[bare(field.kind).__name__]["properties"][short]["items"]
            choices = [{"type": "array", "items": items}, {"$ref": whole.pop("$ref")}]
            definitions["Image"]["properties"][key] = {**whole, "anyOf": choices}
    top = definitions.pop("Definition")
    head = {"$schema": DIALECT, **top, "title": "osloom.toml"}
    return {**head, "$defs": dict(sorted(definitions.items()))}


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _table(name: str) -> type[Table]:
    return {table.__name__: table for table in Table.__subclasses__()}[name]


def _documented(schema: dict[str, Any], table: type[Table]) -> dict[str, Any]:
    known = fields(table)
    properties = {
        key: _property(one, docstrings.of_field(table, known[key].name))
        for key, one in schema["properties"].items()
    }
    required = {"required": schema["required"]} if schema["required"] else {}
    return {
        "title": schema["title"],
        "description": docstrings.of_table(table),
        "type": "object",
        "properties": properties,
        **required,
        "additionalProperties": False,
    }


def _property(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The key's own text wins over that of its type, which says what the value looks like."""
    looks = schema.pop("description", None)
    text = f"{description}\n\nIt is {looks}." if looks else description
    default = schema.pop("default", None)
    if isinstance(default, tuple):
        default = list(default)
    # Empty arrays and whole tables as defaults are noise in an editor.
    shown = {} if default in (None, []) or isinstance(default, dict) else {"default": default}
    return {"description": text, **schema, **shown}


def _without_null(schema: Any) -> Any:
    """TOML has no null: what may be null in the model is a key that may be left out."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: _without_null(value)
        for key, value in schema.items()
        if not (key == "default" and value is None)
    }
    others = [one for one in plain.get("anyOf", []) if one != {"type": "null"}]
    if "anyOf" in plain and len(others) == 1:
        del plain["anyOf"]
        return {**others[0], **plain}
    return {**plain, "anyOf": others} if others else plain
