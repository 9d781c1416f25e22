"""JSON Schema of a whole config, with a branch for each installed component."""

from __future__ import annotations

from typing import Any

from ebmcore.config import catalog
from ebmcore.config.reserved import reserved
from ebmcore.config.schema import json_schema
from ebmcore.config.sections import Plugins, Settings, Tracking, Train
from ebmcore.config.signature import Parameter, component_parameters, describe, parameters
from ebmcore.errors import PluginError
from ebmcore.kinds import KINDS
from ebmcore.plugins import Component, Host


def config_schema(host: Host) -> dict[str, Any]:
    """Return the schema; a component that can't be loaded is left out."""
    properties: dict[str, Any] = dict(_section(Settings)["properties"])
    properties["plugins"] = _section(Plugins)
    for kind in KINDS.values():
        node = _choice([_branch(component) for component in host.components(kind.name)])
        properties[kind.key] = {"anyOf": [node, _array(node)]} if kind.is_list else node
    optimizers = [(name, catalog.find_optimizer(name)) for name in catalog.optimizer_names()]
    schedules = [(name, catalog.find_lr_scheduler(name)) for name in catalog.lr_scheduler_names()]
    properties["optimizer"] = _choice([_torch("optimizer", *found) for found in optimizers])
    properties["lr_scheduler"] = _choice([_torch("lr_scheduler", *found) for found in schedules])
    for optional in ("sampler", "chains", "lr_scheduler"):
        properties[optional]["anyOf"].append({"type": "null"})
    properties["train"] = _section(Train)
    properties["tracking"] = {"anyOf": [_section(Tracking), {"enum": ["off", False]}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ebmcore config",
        "type": "object",
        "properties": properties,
        "required": ["data", "energy", "loss", "train"],
        "additionalProperties": False,
    }


def _section(cls: type[Any]) -> dict[str, Any]:
    return json_schema(parameters(cls), cls.__name__.lower(), describe(cls).summary)


def _branch(component: Component) -> dict[str, Any] | None:
    try:
        target = component.load()
    except PluginError:
        return None
    keys = (*component_parameters(target), *reserved(component.kind, target))
    names = [component.full_name, component.name]
    return _typed(names, json_schema(keys, component.name, describe(target).text))


def _torch(kind: str, name: str, target: type[Any]) -> dict[str, Any]:
    keys: tuple[Parameter, ...] = (*catalog.torch_parameters(target), *reserved(kind))
    return _typed([name], json_schema(keys, name, describe(target).summary))


def _typed(names: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Add the `type` key, which tells the branches apart."""
    kind = {"enum": names, "title": "type"} if len(names) > 1 else {"const": names[0]}
    return {
        **schema,
        "properties": {"type": kind, **schema.get("properties", {})},
        "required": ["type", *schema.get("required", [])],
    }


def _choice(branches: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Allow a mapping of one of the branches, or only a name whose other keys all have defaults."""
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


def _array(node: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": node}
