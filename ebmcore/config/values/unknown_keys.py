"""Keys inside a component's own models that pydantic would drop silently."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema

Place = tuple[str | int, ...]


def dropped(value: Any, given: Any, place: Place = ()) -> Iterator[tuple[Place, list[str]]]:
    """Yield each key of `given` that is nowhere in `value`, with the keys allowed there.

    Skips a model that sets pydantic's `extra` itself, or rewrites its input before validation.
    """
    if isinstance(value, RootModel):
        yield from dropped(value.root, given, place)
    elif isinstance(given, dict):
        names = _names(type(value)) if not isinstance(value, dict) else {}
        if names and is_closed(type(value)):
            listed = list(names)
            yield from (((*place, key), listed) for key in given if key not in names)
        for key, inner in given.items():
            if isinstance(value, dict):
                held = value.get(key)
            else:
                held = getattr(value, names[key], None) if key in names else None
            yield from dropped(held, inner, (*place, key))
    elif isinstance(given, list) and isinstance(value, list | tuple) and len(value) == len(given):
        for i, inner in enumerate(given):
            yield from dropped(value[i], inner, (*place, i))


def is_closed(cls: type[Any]) -> bool:
    """Tell whether a model or a dataclass allows only the keys that it declares."""
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    decorators = getattr(cls, "__pydantic_decorators__", None)
    validators = decorators.model_validators.values() if decorators else ()
    return "extra" not in config and all(v.info.mode == "after" for v in validators)


def _names(cls: type[Any]) -> dict[str, str]:
    """Return the keys of a model or a dataclass, each with the attribute that holds its value."""
    if dataclasses.is_dataclass(cls):
        return {field.name: field.name for field in dataclasses.fields(cls)}
    if not issubclass(cls, BaseModel):
        return {}
    names: dict[str, str] = {}
    for attribute, field in cls.model_fields.items():
        for alias in (attribute, field.alias, *_aliases(field.validation_alias)):
            if alias is not None:
                names[alias] = attribute
    return names


def _aliases(alias: str | AliasPath | AliasChoices | None) -> list[str]:
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [str(c.path[0]) if isinstance(c, AliasPath) else c for c in choices if c is not None]


class ClosedJsonSchema(GenerateJsonSchema):
    """JSON Schema that refuses the same keys; it omits a default that JSON can't hold."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (pydantic's own class attribute)

    def model_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a model, closed if it allows only its own keys."""
        return _close(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a dataclass, closed if it allows only its own keys."""
        return _close(super().dataclass_schema(schema), schema["cls"])


def _close(schema: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    if "properties" in schema and is_closed(cls):
        schema.setdefault("additionalProperties", False)
    return schema
