"""The JSON Schema of parameters, and the names of their types as a config's author writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ebmcore.config.values.models import model_of
from ebmcore.config.values.signature import REQUIRED, Parameter
from ebmcore.config.values.unknown_keys import ClosedJsonSchema

_BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
}


_WORDS = {
    "integer": "int", "number": "float", "string": "text", "boolean": "true or false",
    "null": "null", "object": "mapping",
}  # fmt: skip


def json_schema(parameters: Iterable[Parameter], title: str, description: str) -> dict[str, Any]:
    """Return the JSON Schema of a mapping with these keys; one without a schema takes any value."""
    parameters = tuple(parameters)
    try:
        schema = _schema(parameters)
    except Exception:  # a type whose own schema method raises; the other keys keep theirs
        schema = _schema(tuple(p if _has_schema(p) else _open(p) for p in parameters))
    for name, part in schema.get("properties", {}).items():
        if part.get("title", "").lower().replace(" ", "_") != name:
            part["title"] = name
    return {**schema, "title": title, "description": description}


def type_name(annotation: Any) -> str:
    """Name a type as a config's author would: `float > 0`, `list of int`."""
    schema = json_schema([Parameter("it", annotation)], "", "")
    return _schema_name(schema["properties"]["it"], schema.get("$defs", {})) or "any"


def _schema(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    model = model_of(parameters)
    return model.model_json_schema(by_alias=True, schema_generator=ClosedJsonSchema)


def _has_schema(parameter: Parameter) -> bool:
    try:
        _schema((parameter,))
    except Exception:  # the method of a stranger's type may raise anything
        return False
    return True


def _open(parameter: Parameter) -> Parameter:
    """Return a key of the same name that takes any value."""
    default = parameter.default if parameter.default is REQUIRED else None
    return parameter._replace(annotation=Any, default=default)


def _schema_name(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _schema_name(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_schema_name(part, definitions) for part in schema["anyOf"])
    if schema.get("type") == "array":
        inner = _schema_name(schema.get("items") or {}, definitions)
        return f"list of {inner}" if inner else "list"
    word = _WORDS.get(schema.get("type", ""), "")
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    return " ".join([word, " and ".join(bounds)]).strip()
