"""The one module that knows pydantic: values held against parameters, and their JSON Schema."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ebmcore.config.signature import REQUIRED, Parameter

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Check(NamedTuple):
    """In an annotation: a function that returns the value, or raises ValueError."""

    function: Callable[[Any], Any]


class Checked(NamedTuple):
    """Values that fit their parameters: as Python objects, as JSON, or what is wrong with them."""

    values: dict[str, Any]
    record: dict[str, Any]  # every default filled in
    faults: tuple[tuple[str, str], ...] = ()  # dotted place below the node, message


def check(parameters: Iterable[Parameter], given: dict[str, Any]) -> Checked:
    """Hold a mapping against the parameters, finding every fault."""
    parameters = tuple(parameters)
    model = _model(parameters)
    try:
        values = model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        whole = _whole_numbers(given, errors)
        if whole is not None:
            return check(parameters, whole)
        return Checked({}, {}, _faults(errors, tuple(p.name for p in parameters), given))
    named = {p.name: getattr(values, f"p{i}") for i, p in enumerate(parameters)}
    return Checked(named, {name: plain for name, value in named.items() for plain in _plain(value)})


def json_schema(parameters: Iterable[Parameter], title: str, description: str) -> dict[str, Any]:
    """Return the JSON Schema of a mapping with these keys."""
    parameters = tuple(parameters)
    try:
        schema = _model(parameters).model_json_schema(by_alias=True)
    except PydanticInvalidForJsonSchema:
        schema = _model(p._replace(annotation=Any) for p in parameters).model_json_schema()
    for name, part in schema.get("properties", {}).items():
        if part.get("title", "").lower().replace(" ", "_") != name:
            part["title"] = name
    return {**schema, "title": title, "description": description}


def type_name(annotation: Any) -> str:
    """Write a type the way a config's author thinks of it: `float > 0`, `list of int`."""
    schema = json_schema([Parameter("it", annotation)], "", "")
    return _schema_name(schema["properties"]["it"], schema.get("$defs", {})) or "any"


def _model(parameters: Iterable[Parameter]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for i, parameter in enumerate(parameters):
        default = ... if parameter.default is REQUIRED else parameter.default
        description = parameter.description or None
        # aliases keep a key named `schema` or `validate` from meeting pydantic's own methods
        field = partial(Field, alias=parameter.name, description=description)
        fields[f"p{i}"] = (_annotation(parameter.annotation), field(default))
    make: Callable[..., type[BaseModel]] = partial(create_model, "Keys", __config__=_CONFIG)
    try:
        return make(**fields)
    except PydanticSchemaGenerationError:
        return make(**{name: (Any, field) for name, (_, field) in fields.items()})


def _annotation(annotation: Any) -> Any:
    """Turn our metadata into pydantic's, and drop tensors, which no YAML can hold, from unions."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *metadata = arguments
        turned = (AfterValidator(m.function) if isinstance(m, Check) else m for m in metadata)
        result: Any = _annotation(inner)
        for item in turned:
            result = typing.Annotated[result, item]
        return result
    if origin in (typing.Union, types.UnionType):
        kept = [_annotation(a) for a in arguments if not _is_tensor(a)]
        return typing.Union[tuple(kept)] if kept else Any  # noqa: UP007 (made at run time)
    if origin is tuple and arguments:
        return tuple[tuple(a if a is ... else _annotation(a) for a in arguments)]  # type: ignore[misc] # made at run time
    return annotation


def _is_tensor(annotation: Any) -> bool:
    return getattr(annotation, "__name__", "") == "Tensor"


def _whole_numbers(given: dict[str, Any], errors: list[Any]) -> dict[str, Any] | None:
    """Return the values with 1e4 read as 10000 where an integer is wanted, or None if no such."""
    changed = json.loads(json.dumps(given))
    found = False
    for error in errors:
        value = error["input"]
        if error["type"] not in ("int_type", "int_from_float") or not isinstance(value, float):
            continue
        if not value.is_integer():
            continue
        holder: Any = changed
        *path, last = (part for part in error["loc"])
        try:
            for part in path:
                holder = holder[part]
            if holder[last] == value:
                holder[last] = int(value)
                found = True
        except (KeyError, IndexError, TypeError):
            continue
    return changed if found else None


def _faults(
    errors: list[Any], names: tuple[str, ...], given: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Write pydantic's errors as ours, one a place; the branches of a union are joined by `or`."""
    messages: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for error in errors:
        place, text = _fault(error, names, given)
        messages.setdefault(place, []).append(text)
        if error["type"] not in ("missing", "extra_forbidden"):
            found[place] = f"; got {_short(error['input'])}"
    return tuple(
        (place, " or ".join(dict.fromkeys(texts)) + found.get(place, ""))
        for place, texts in messages.items()
    )


def _fault(error: Any, names: tuple[str, ...], given: dict[str, Any]) -> tuple[str, str]:
    path = _own_path(error, given)
    place = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        if len(path) > 1:  # in a model of a component's own
            return place, "unknown key"
        near = difflib.get_close_matches(place, names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return place, f"unknown key.{hint} Keys here: {', '.join(names) or 'none'}"
    if error["type"] == "missing":
        return place, "missing; it has no default"
    text = error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    return place, text[0].lower() + text[1:]


def _own_path(error: Any, given: Any) -> list[str | int]:
    """Return the place of an error without the names of a union's branches, which stand in it."""
    absent = error["type"] == "missing"
    path: list[str | int] = []
    for i, part in enumerate(error["loc"]):
        inside = part in given if isinstance(given, dict) else isinstance(part, int)
        if not inside and not (absent and i == len(error["loc"]) - 1):
            continue
        path.append(part)
        holds = isinstance(given, dict) or (isinstance(given, list) and int(part) < len(given))
        given = given[part] if inside and holds else None
    return path


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "…"


def _plain(value: Any) -> Iterable[Any]:
    """Yield the JSON form of a value, or nothing for a default that has none.

    A path is recorded whole, so that the record means the same from any folder.
    """
    if isinstance(value, Path):
        yield str(value.expanduser().absolute())
        return
    try:
        yield to_jsonable_python(value)
    except PydanticSerializationError:
        return


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
