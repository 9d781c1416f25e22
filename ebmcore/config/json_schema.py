"""JSON Schema of a whole config, with a branch for each installed component."""

from __future__ import annotations

from typing import Any

from ebmcore.config.components import PARTS
from ebmcore.config.core_keys import clashes, reserved
from ebmcore.config.nested import Nested, nested
from ebmcore.config.optimizers import description, keys_of, needs_argument
from ebmcore.config.sections import Plugins, Settings, Tracking, Train
from ebmcore.config.values.names import json_schema
from ebmcore.config.values.signature import (
    REQUIRED,
    Parameter,
    describe,
    parameters,
)
from ebmcore.errors import PluginError
from ebmcore.kinds import KINDS, TRACKER
from ebmcore.plugins import Component, Host


def config_schema(host: Host) -> dict[str, Any]:
    """Return the schema, without components that can't be loaded or configured."""
    properties: dict[str, Any] = dict(_section(Settings)["properties"])
    properties["plugins"] = _section(Plugins)
    definitions: dict[str, Any] = {}
    for kind in KINDS.values():
        there = host.components(kind.name)
        inner = _choice([_branch(c, definitions, inner=True) for c in there])
        definitions[kind.name] = _or_reference(inner)
        if "." in kind.key:  # a key of another section, which has its schema
            continue
        node = _or_reference(_choice([_branch(c, definitions) for c in there]))
        properties[kind.key] = {"anyOf": [node, _array(node)]} if kind.is_list else node
        if kind.is_map:
            properties[kind.key] = _named(node)
    properties[PARTS] = {
        "type": "object",
        "description": 'Nodes that others refer to as "@NAME"; each is built once.',
        "additionalProperties": {"type": ["object", "string"]},
    }
    properties["optimizers"] = _named(properties["optimizer"])
    for optional in ("sampler", "chains", "lr_scheduler"):
        properties[optional]["anyOf"].append({"type": "null"})
    properties["train"] = _section(Train)
    offered = host.components(TRACKER.name)
    tracker = _or_reference(_choice([_branch(c, definitions) for c in offered]))
    several = {**_array(tracker), "minItems": 1}
    properties["tracking"] = {
        "anyOf": [_section(Tracking), {"enum": ["off", False]}, tracker, several]
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ebmcore config",
        "type": "object",
        "properties": properties,
        "required": ["data", "energy", "loss", "train"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _section(cls: type[Any]) -> dict[str, Any]:
    return json_schema(parameters(cls), cls.__name__.lower(), describe(cls).summary)


def _branch(
    component: Component, definitions: dict[str, Any], *, inner: bool = False
) -> dict[str, Any] | None:
    try:
        target = component.load()
        parameters_ = keys_of(component.kind, target)
    except PluginError:
        return None
    if clashes(component.kind, target, inner=inner):
        return None
    if inner and component.kind == "lr_scheduler" and needs_argument(target):
        return None  # as the reader of configs refuses it
    every = (*parameters_, *(() if inner else reserved(component.kind, target)))
    nodes = {p.name: found for p in every if (found := nested(p.annotation)) is not None}
    plain = tuple(p for p in every if p.name not in nodes)
    schema = json_schema(plain, component.name, description(component, target))
    schema = _lifted(schema, definitions, f"{component.kind}.{component.full_name}.")
    for parameter in every:
        if parameter.name in nodes:
            _add_node(schema, parameter, nodes[parameter.name])
    return _typed([component.full_name, component.name], schema)


_HERE = "#/$defs/"


def _lifted(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Move a branch's own definitions to the document's, since every `$ref` starts at its root."""
    schema = _prefixed(schema, prefix)
    own = schema.pop("$defs", {})
    definitions.update({prefix + name: definition for name, definition in own.items()})
    return schema


def _prefixed(schema: Any, prefix: str) -> Any:
    """Return a schema in which every reference to a definition has a prefix."""
    if isinstance(schema, list):
        return [_prefixed(item, prefix) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # whose keys are names
            changed[key] = {name: _prefixed(inner, prefix) for name, inner in value.items()}
        elif key == "$ref":
            changed[key] = value.replace(_HERE, _HERE + prefix, 1)
        elif key in ("default", "examples", "const", "enum"):
            changed[key] = value
        elif key != "discriminator":  # pydantic's keyword for other tools, which holds references
            changed[key] = _prefixed(value, prefix)
    return changed


def _add_node(schema: dict[str, Any], parameter: Parameter, kind: Nested) -> None:
    """Add a key that takes a component, or a list of them."""
    one = {"$ref": f"#/$defs/{kind.kind}"}
    node: dict[str, Any] = _array(one) if kind.many else one
    if kind.or_one:
        node = {"anyOf": [one, node]}
    if parameter.default is REQUIRED:
        schema["required"] = [*schema.get("required", []), parameter.name]
    else:
        node = {"anyOf": [node, {"type": "null"}]}
    described = {"title": parameter.name, "description": parameter.description}
    schema.setdefault("properties", {})[parameter.name] = {**node, **described}


def _or_reference(node: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*node["anyOf"], {"type": "string", "pattern": "^@"}]}


def _typed(names: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Add the `type` key, which selects the branch."""
    kind = {"enum": names, "title": "type"} if len(names) > 1 else {"const": names[0]}
    return {
        **schema,
        "properties": {"type": kind, **schema.get("properties", {})},
        "required": ["type", *schema.get("required", [])],
    }


def _choice(branches: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Allow a mapping of one of the branches, or a bare name if its other keys have defaults."""
    there = [branch for branch in branches if branch is not None]
    names = sorted(
        {n for branch in there for n in _names(branch) if branch["required"] == ["type"]}
    )
    node: dict[str, Any] = {"anyOf": [{"oneOf": there}]} if there else {"anyOf": [False]}
    if names:
        node["anyOf"].append({"enum": names})
    return node


def _names(branch: dict[str, Any]) -> list[str]:
    kind = branch["properties"]["type"]
    return list(kind["enum"]) if "enum" in kind else [kind["const"]]


def _named(node: dict[str, Any]) -> dict[str, Any]:
    """Allow a mapping of names of networks to nodes."""
    names = {"pattern": r"^[^\W\d]\w*$"}
    described = {"type": "object", "propertyNames": names, "additionalProperties": node}
    return {"anyOf": [described, {"type": "null"}]}


def _array(node: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": node}
