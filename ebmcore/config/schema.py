"""Values checked against parameters by pydantic, and their JSON Schema."""

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
from pydantic_core import to_jsonable_python

from ebmcore.config.signature import REQUIRED, Parameter
from ebmcore.config.unknown_keys import ClosedJsonSchema, dropped
from ebmcore.config.yaml import control_in

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Check(NamedTuple):
    """In an annotation: a function that returns the value, or raises ValueError."""

    function: Callable[[Any], Any]


class Checked(NamedTuple):
    """Values that fit their parameters, as Python objects and as JSON, or the faults in them."""

    values: dict[str, Any]
    record: dict[str, Any]  # every default filled in
    faults: tuple[tuple[str, str], ...] = ()  # dotted place below the node, message


def check(parameters: Iterable[Parameter], given: dict[str, Any]) -> Checked:
    """Check a mapping against the parameters, and find every fault.

    A recorded default means that default, even if it doesn't fit its own type.
    """
    parameters = tuple(parameters)
    if faults := tuple((k, text) for k, v in given.items() for text in _no_yaml(v)):
        return Checked({}, {}, faults)
    recorded = {p.name for p in parameters if p.name in given and _is_default(given[p.name], p)}
    return _check(parameters, {k: v for k, v in given.items() if k not in recorded})


def _check(parameters: tuple[Parameter, ...], given: dict[str, Any]) -> Checked:
    model = _model(parameters)
    names = tuple(p.name for p in parameters)
    try:
        values = model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        whole = _whole_numbers(given, errors)
        if whole is not None:
            return _check(parameters, whole)
        return Checked({}, {}, _faults(errors, names, given))
    except Exception as error:
        return Checked({}, {}, _raised(parameters, given) or (("", _text(error)),))
    named = {p.name: getattr(values, f"p{i}") for i, p in enumerate(parameters)}
    unknown = (
        (".".join(map(str, (key, *place))), _unknown(str(place[-1]), there))
        for key, value in given.items()
        for place, there in dropped(named[key], value)
    )
    if faults := tuple(unknown):
        return Checked({}, {}, faults)
    return Checked(named, {name: plain for name, value in named.items() for plain in _plain(value)})


def _no_yaml(value: Any) -> Iterable[str]:
    """Describe a value from Python that YAML can't hold."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        yield f"should be what YAML can hold: {error}"
    else:
        yield from list(dict.fromkeys(filter(None, map(control_in, _texts(value)))))[:1]


def _texts(value: Any) -> Iterable[str]:
    """Yield every text in a plain value, keys too."""
    if isinstance(value, str):
        yield value
    for item in (*value, *value.values()) if isinstance(value, dict) else ():
        yield from _texts(item)
    for item in value if isinstance(value, (list, tuple)) else ():
        yield from _texts(item)


def _is_default(value: Any, parameter: Parameter) -> bool:
    """Tell whether a value is the recorded default; 1 is not true, nor 1.0."""
    if parameter.default is REQUIRED:
        return False
    try:
        text = json.dumps(value, sort_keys=True)
        return any(json.dumps(p, sort_keys=True) == text for p in _plain(parameter.default))
    except (TypeError, ValueError):
        return False


def _raised(
    parameters: tuple[Parameter, ...], given: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Find the keys whose own types raise for their values, and all other faults."""
    faults: list[tuple[str, str]] = []
    sound = []
    for parameter in parameters:
        own = {parameter.name: given[parameter.name]} if parameter.name in given else {}
        try:
            _model((parameter,)).model_validate_json(json.dumps(own))
        except ValidationError:
            sound.append(parameter)
        except Exception as error:
            faults.append((parameter.name, f"can't be held against its type: {_text(error)}"))
        else:
            sound.append(parameter)
    if faults:
        broken = {name for name, _ in faults}
        rest = {k: v for k, v in given.items() if k not in broken}
        faults += _check(tuple(sound), rest).faults
    return tuple(faults)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def json_schema(parameters: Iterable[Parameter], title: str, description: str) -> dict[str, Any]:
    """Return the JSON Schema of a mapping with these keys; one without a schema takes any value."""
    parameters = tuple(parameters)
    try:
        schema = _json_schema(parameters)
    except Exception:
        schema = _json_schema(tuple(p if _has_schema(p) else _open(p) for p in parameters))
    for name, part in schema.get("properties", {}).items():
        if part.get("title", "").lower().replace(" ", "_") != name:
            part["title"] = name
    return {**schema, "title": title, "description": description}


def _json_schema(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    model = _model(parameters)
    return model.model_json_schema(by_alias=True, schema_generator=ClosedJsonSchema)


def _has_schema(parameter: Parameter) -> bool:
    try:
        _json_schema((parameter,))
    except Exception:
        return False
    return True


def _open(parameter: Parameter) -> Parameter:
    """Return a key of the same name that takes any value."""
    default = parameter.default if parameter.default is REQUIRED else None
    return parameter._replace(annotation=Any, default=default)


def type_name(annotation: Any) -> str:
    """Name a type as a config's author would: `float > 0`, `list of int`."""
    schema = json_schema([Parameter("it", annotation)], "", "")
    return _schema_name(schema["properties"]["it"], schema.get("$defs", {})) or "any"


def _model(parameters: Iterable[Parameter]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for i, parameter in enumerate(parameters):
        default = ... if parameter.default is REQUIRED else parameter.default
        description = parameter.description or None
        # aliases keep a key named `schema` or `validate` from clashing with pydantic's methods
        field = partial(Field, alias=parameter.name, description=description)
        fields[f"p{i}"] = (_annotation(parameter.annotation), field(default))
    try:
        return _make(fields)
    except Exception:
        sound = {name: entry for name, entry in fields.items() if _can_make(name, entry)}
        return _make({n: sound.get(n, (Any, field)) for n, (_, field) in fields.items()})


def _make(fields: dict[str, Any]) -> type[BaseModel]:
    """Make a model. Raises as pydantic does, and TypeError for a key that it would leave out."""
    make: Callable[..., type[BaseModel]] = partial(create_model, "Keys", __config__=_CONFIG)
    model = make(**fields)
    if set(model.model_fields) != set(fields):  # a ClassVar isn't a field
        raise TypeError("not every annotation makes a field")
    return model


def _can_make(name: str, entry: Any) -> bool:
    try:
        _make({name: entry})
    except Exception:
        return False
    return True


def _annotation(annotation: Any) -> Any:
    """Turn our metadata into pydantic's; drop tensors from unions, since YAML can't hold them."""
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
    """Return the values with 1e4 as 10000 for integer keys, or None if nothing changes."""
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
    """Turn pydantic's errors into ours, one for each place, joining a union's branches by `or`."""
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
        if len(path) > 1:  # inside a component's own model
            return place, "unknown key"
        return place, _unknown(place, names)
    if error["type"] == "missing":
        return place, "missing; it has no default"
    text = error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    return place, text[0].lower() + text[1:]


def _unknown(key: str, names: Iterable[str]) -> str:
    names = tuple(names)
    near = difflib.get_close_matches(key, names, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown key.{hint} Keys here: {', '.join(names) or 'none'}"


def _own_path(error: Any, given: Any) -> list[str | int]:
    """Return the place of an error without the names of a union's branches."""
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
    """Yield the JSON form of a value; nothing for a default without one.

    Paths are absolute, so that the record means the same from any folder.
    """
    if isinstance(value, Path):
        yield str(value.expanduser().absolute())
        return
    try:
        yield to_jsonable_python(value)
    except Exception:  # a method of the value may raise anything
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
