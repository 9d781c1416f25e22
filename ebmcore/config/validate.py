"""A whole config held against the installed plugins: every problem at once, or a validated tree."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ebmcore.config.build import loss_slots
from ebmcore.config.catalog import find_lr_scheduler, find_optimizer, torch_parameters
from ebmcore.config.reserved import reserved
from ebmcore.config.schema import check
from ebmcore.config.sections import Plugins, Settings, Tracking, Train
from ebmcore.config.signature import (
    REQUIRED,
    Parameter,
    component_parameters,
    is_part,
    parameters,
)
from ebmcore.config.source import Source
from ebmcore.config.tree import Config, Node
from ebmcore.errors import ConfigError, PluginError, Problem
from ebmcore.plugins import Component, Host, Selection

_SETTINGS = tuple(p.name for p in parameters(Settings))
_NODES = ("data", "energy", "sampler", "chains", "loss", "optimizer", "lr_scheduler", "monitors")
_REQUIRED = ("data", "energy", "loss", "train")


def plugin_selection(source: Source) -> Selection:
    """Read which plugins a config asks for, before any is loaded. Raises ConfigError."""
    given = source.tree.get("plugins") or {}
    if not isinstance(given, dict):
        raise ConfigError([source.problem("plugins", f"should be a mapping; got {given!r}")])
    checked = check(parameters(Plugins), given)
    if checked.faults:
        raise ConfigError(source.problem(f"plugins.{at}", text) for at, text in checked.faults)
    files = tuple(str(source.folder / file) for file in checked.values["files"])
    values = checked.values
    return Selection(tuple(values["require"]), tuple(values["disable"]), files)


def validate(source: Source, host: Host, selection: Selection | None = None) -> Config:
    """Hold a config against its plugins. Raises ConfigError with every problem that was found."""
    return _Reader(source, host).read(selection or Selection())


def read_train(given: dict[str, Any]) -> Train:
    """Hold a `train` section against its keys. Raises ConfigError."""
    reader = _Reader(Source({"train": given}), Host(()))
    train: Train | None = reader.section(Train, given, "train")
    if train is None:
        raise ConfigError(reader.problems)
    return train


def read_node(source: Source, host: Host, kind: str) -> Node:
    """Hold one component of a recorded config against its plugin. Raises ConfigError."""
    reader = _Reader(source, host)
    node = reader.node(kind, source.tree.get(kind), kind)
    if node is None:
        raise ConfigError(reader.problems or [source.problem(kind, "missing")])
    return node


class _Reader:
    def __init__(self, source: Source, host: Host) -> None:
        self.source = source
        self.host = host
        self.problems: list[Problem] = []

    def read(self, selection: Selection) -> Config:
        tree = self.source.tree
        self.check_keys(tree)
        settings = self.section(Settings, {k: tree[k] for k in _SETTINGS if k in tree}, "")
        train = self.section(Train, tree.get("train", {}), "train")
        tracking: Tracking | None = None
        if tree.get("tracking", {}) not in ("off", False):
            tracking = self.section(Tracking, tree.get("tracking") or {}, "tracking")
        data = self.node("dataset", tree.get("data"), "data")
        energy = self.node("energy", tree.get("energy"), "energy")
        sampler = self.optional("sampler", tree.get("sampler"), "sampler")
        chains = self.optional("chains", tree.get("chains"), "chains")
        losses = self.nodes("loss", tree.get("loss"), "loss")
        optimizer = self.node("optimizer", tree.get("optimizer") or "Adam", "optimizer")
        schedule = self.optional("lr_scheduler", tree.get("lr_scheduler"), "lr_scheduler")
        monitors = self.nodes("monitor", tree.get("monitors"), "monitors")
        self.check_slots(losses, sampler, chains)
        if self.problems:
            raise ConfigError(self.problems)
        assert train is not None
        assert settings is not None
        assert data is not None
        assert energy is not None
        assert optimizer is not None
        record = {
            **asdict(settings),
            "plugins": {
                "require": list(selection.require),
                "disable": list(selection.disable),
                "files": list(selection.files),
            },
            "data": data.record,
            "energy": energy.record,
            "sampler": sampler and sampler.record,
            "chains": chains and chains.record,
            "loss": [node.record for node in losses],
            "optimizer": optimizer.record,
            "lr_scheduler": schedule and schedule.record,
            "train": asdict(train),
            "monitors": [node.record for node in monitors],
            "tracking": "off" if tracking is None else asdict(tracking),
        }
        return Config(
            settings=settings,
            train=train,
            tracking=tracking,
            data=data,
            energy=energy,
            sampler=sampler,
            chains=chains,
            losses=losses,
            optimizer=optimizer,
            lr_scheduler=schedule,
            monitors=monitors,
            record=record,
        )

    def fault(self, path: str, message: str) -> None:
        self.problems.append(self.source.problem(path, message))

    def check_keys(self, tree: dict[str, Any]) -> None:
        """Name the keys that no config has, and those that every config must have."""
        known = (*_SETTINGS, "plugins", *_NODES, "train", "tracking")
        keys = [Parameter(k, Any, REQUIRED if k in _REQUIRED else None) for k in known]
        for place, message in check(keys, tree).faults:
            self.fault(place, message)

    def section(self, cls: type[Any], given: Any, path: str) -> Any:
        """Read one of the core's own sections."""
        if not isinstance(given, dict):
            self.fault(path, f"should be a mapping; got {given!r}")
            return None
        checked = check(parameters(cls), given)
        for place, message in checked.faults:
            self.fault(f"{path}.{place}" if path else place, message)
        if checked.faults:
            return None
        try:
            return cls(**checked.values)
        except ValueError as error:
            if not path or path in self.source.tree:
                self.fault(path, str(error))
            return None

    def optional(self, kind: str, given: Any, path: str) -> Node | None:
        return None if given is None else self.node(kind, given, path)

    def nodes(self, kind: str, given: Any, path: str) -> tuple[Node, ...]:
        """Read one node or a list of them, each under a name of its own."""
        entries = given if isinstance(given, list) else [] if given is None else [given]
        if kind == "loss" and path in self.source.tree and not entries:
            self.fault(path, "is empty; a run needs at least one loss")
        places = [f"{path}.{i}" if isinstance(given, list) else path for i in range(len(entries))]
        read = [self.node(kind, entry, at) for entry, at in zip(entries, places, strict=True)]
        nodes = tuple(node for node in read if node is not None)
        names: dict[str, str] = {}
        for node in nodes:
            if node.name in names:
                message = f"{node.name!r} is at {names[node.name]} too; give one another `name`"
                self.fault(node.path, message)
            names[node.name] = node.path
        return nodes

    def node(self, kind: str, given: Any, path: str) -> Node | None:
        """Read one component: `{type: NAME, …}` or only its NAME."""
        if given is None:
            # check_keys has told of a section that isn't there at all
            if "." in path or path in self.source.tree:
                self.fault(path, "is empty; name a `type`")
            return None
        given = {"type": given} if isinstance(given, str) else given
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            self.fault(path, f"should be a mapping with a `type`; got {given!r}")
            return None
        name = given["type"]
        try:
            component, target, keys = self.find(kind, name)
        except PluginError as error:
            self.fault(f"{path}.type", str(error))
            return None
        own = reserved(kind, target)
        clash = {"type", *(p.name for p in own)} & {p.name for p in keys}
        if clash:
            self.fault(path, f"{name} has a parameter {clash.pop()!r}, which is the core's own key")
            return None
        checked = check((*keys, *own), {k: v for k, v in given.items() if k != "type"})
        for place, message in checked.faults:
            self.fault(f"{path}.{place}", message)
        if checked.faults:
            return None
        options = {p.name: checked.values[p.name] for p in own}
        values = {p.name: checked.values[p.name] for p in keys}
        record = {"type": name, **checked.record}
        where = self.source.where(path)
        return Node(path, kind, name, target, component, values, options, record, where)

    def find(self, kind: str, name: str) -> tuple[Component | None, Any, tuple[Parameter, ...]]:
        """Return the component, its class or function, and its keys. Raises PluginError."""
        finders: dict[str, Callable[[str], Any]] = {
            "optimizer": find_optimizer,
            "lr_scheduler": find_lr_scheduler,
        }
        if kind in finders:
            target = finders[kind](name)
            return None, target, torch_parameters(target)
        component = self.host.find(kind, name)
        target = component.load()
        return component, target, component_parameters(target)

    def check_slots(
        self, losses: tuple[Node, ...], sampler: Node | None, chains: Node | None
    ) -> None:
        """Refuse a loss that needs samples in a config that can't make them."""
        for node in losses:
            if not inspect.isclass(node.target) and not is_part(node.target):
                continue  # it builds the loss; the runner sees the slots of what it builds
            try:
                slots = loss_slots(node.target)
            except TypeError as error:
                self.fault(f"{node.path}.type", f"{node.type} {error}")
                continue
            needs = {"x_neg": ("sampler", "chains"), "sampler": ("sampler",), "chains": ("chains",)}
            there = {"sampler": sampler, "chains": chains}
            for slot in sorted({s for s in slots if s in needs}):
                for section in needs[slot]:
                    if there[section] is None and section not in self.source.tree:
                        message = f"missing; loss {node.name!r} asks for {slot!r}, so it needs one"
                        self.fault(section, message)
