"""Read the nodes of a config: each a component with its keys, maybe with nodes among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ebmcore.config.core_keys import clashes, reserved, wrong_options
from ebmcore.config.model import Node
from ebmcore.config.nested import Nested, nested
from ebmcore.config.optimizers import keys_of, needs_argument, refusal
from ebmcore.config.source import Source
from ebmcore.config.values.check import check
from ebmcore.config.values.signature import REQUIRED, Parameter, filled_slots
from ebmcore.errors import PluginError, Problem
from ebmcore.plugins import Component, Host

PARTS = "parts"  # the section of nodes that others refer to
_MAIN = {"data": "dataset", "energy": "energy", "sampler": "sampler", "chains": "chains"}


class Found(NamedTuple):
    """The component that a name in a config refers to."""

    component: Component
    target: Any
    keys: tuple[Parameter, ...]


class NodeReader:
    """Reads nodes and collects every problem; reads a node that others refer to once."""

    def __init__(self, source: Source, host: Host) -> None:
        self.source = source
        self.host = host
        self.problems: list[Problem] = []
        self.shared: dict[str, Node | None] = {}  # path -> a main node or one of the parts
        self.open: list[str] = []  # the shared nodes that are being read

    @property
    def parts(self) -> dict[str, Any]:
        """The section of nodes that others refer to, as the config has it."""
        parts = self.source.tree.get(PARTS)
        return parts if isinstance(parts, dict) else {}

    def fault(self, path: str, message: str) -> None:
        """Record a problem."""
        self.problems.append(self.source.problem(path, message))

    def optional(self, kind: str, given: Any, path: str) -> Node | None:
        """Read a node that may be absent."""
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

    def node(
        self, kind: str, given: Any, path: str, *, own: Sequence[Parameter] | None = None
    ) -> Node | None:
        """Read one component: `{type: NAME, …}`, only its NAME, or a reference `"@NAME"`.

        `own` are the core's keys besides the component's; by default those of its kind. A build
        slot that is null isn't handed to the component.
        """
        outer, _, part = path.partition(".")
        if path not in _MAIN and (outer != PARTS or part not in self.parts):
            return self.written(kind, given, path, own)
        if path not in self.shared:
            self.open.append(path)
            node = self.written(kind, given, path, own)
            self.open.remove(path)
            self.shared[path] = node
        return self.shared[path]

    def written(
        self, kind: str, given: Any, path: str, own: Sequence[Parameter] | None
    ) -> Node | None:
        """Read the node at a place, or the node that a reference there names."""
        if is_reference(given):
            return self.reference(kind, given, path)
        return self.plain_node(kind, given, path, own)

    def reference(self, kind: str, given: str, path: str) -> Node | None:
        """Follow `"@NAME"` to a main node or to one of the parts; each is one object."""
        name = given.removeprefix("@")
        there = [*(key for key in _MAIN if self.source.tree.get(key) is not None), *self.parts]
        if name not in there:
            names = ", ".join(f"@{other}" for other in there)
            self.fault(path, f"there is no {given!r} to refer to; there are: {names or 'none'}")
            return None
        is_main = name in _MAIN and self.source.tree.get(name) is not None
        place = name if is_main else f"{PARTS}.{name}"
        if place in self.open:
            circle = " -> ".join([*self.open[self.open.index(place) :], place])
            self.fault(path, f"{given!r} refers to itself: {circle}")
            return None
        known = _MAIN[name] if is_main else kind
        node = self.node(known, self.source.tree[name] if is_main else self.parts[name], place)
        if known != kind or (node is not None and node.kind != kind):
            found = known if node is None else node.kind
            self.fault(path, f"{given!r} is of kind {found}; here stands one of kind {kind}")
            return None
        return node

    def plain_node(
        self, kind: str, given: Any, path: str, own: Sequence[Parameter] | None
    ) -> Node | None:
        """Read a node that isn't a reference."""
        if given is None:
            # check_keys has reported a missing section
            if "." in path or path in self.source.tree:
                self.fault(path, "is empty; name a `type`")
            return None
        given = {"type": given} if isinstance(given, str) else given
        if isinstance(given, dict) and given and "type" not in given:
            self.fault(path, "has no `type`; add `type: NAME` with the name of a component")
            return None
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            self.fault(path, f"should be a mapping with a `type`; got {given!r}")
            return None
        name = given["type"]
        try:
            component, target, keys = self.find(kind, name)
        except PluginError as error:
            self.fault(f"{path}.type", str(error))
            return None
        if clash := sorted(clashes(kind, target, inner=own is not None)):
            self.fault(path, f"{name} has a parameter {clash[0]!r}, which is the core's own key")
            return None
        if own is not None and kind == "lr_scheduler" and needs_argument(target):
            self.fault(path, f"{name} follows a metric, so it can't be one of several schedules")
            return None
        own = reserved(kind, target) if own is None else own
        every = (*keys, *own)
        inner = {p.name: found for p in every if (found := nested(p.annotation)) is not None}
        slots = filled_slots(kind, target)
        unfilled = {k: None for k in slots if k in given and given[k] is None}
        left = {"type", *inner, *unfilled}
        plain = {k: v for k, v in given.items() if k not in left}
        checked = check(tuple(p for p in every if p.name not in inner), plain)
        faults = checked.faults or wrong_options(name, checked.values, own)
        for place, message in faults:
            self.fault(f"{path}.{place}", message)
        before = len(self.problems)
        children = {
            key.name: self.child(inner[key.name], key, given, f"{path}.{key.name}")
            for key in every
            if key.name in inner
        }
        if faults or len(self.problems) > before:
            return None
        values = {**checked.values, **children}
        return Node(
            path=path,
            kind=kind,
            type=name,
            target=target,
            component=component,
            values={**{p.name: values[p.name] for p in keys}, **unfilled},
            options={p.name: values[p.name] for p in own},
            record={"type": name, **checked.record, **_records(children, given, own), **unfilled},
            where=self.source.where(path),
        )

    def child(self, kind: Nested, key: Parameter, given: dict[str, Any], path: str) -> Any:
        """Read a key that takes a component, or a list of them."""
        if given.get(key.name) is None:
            if key.default is REQUIRED:
                self.fault(
                    path, f"missing; it takes {'a list of ' if kind.many else ''}{kind.kind}"
                )
            return None if key.default is REQUIRED else key.default
        value = given[key.name]
        if not kind.many:
            return self.node(kind.kind, value, path, own=())
        if kind.or_one and not isinstance(value, list):
            return [self.node(kind.kind, value, path, own=())]
        if not isinstance(value, list):
            self.fault(path, f"should be a list of nodes of kind {kind.kind}; got {value!r}")
            return None
        return [self.node(kind.kind, v, f"{path}.{i}", own=()) for i, v in enumerate(value)]

    def find(self, kind: str, name: str) -> Found:
        """Return the component, its class or function, and its keys. Raises PluginError."""
        try:
            component = self.host.find(kind, name)
        except PluginError as error:
            raise PluginError(refusal(kind, name) or str(error)) from error
        target = component.load()
        return Found(component, target, keys_of(kind, target))


def is_reference(given: Any) -> bool:
    """Tell whether a value refers to a node elsewhere in the config."""
    return isinstance(given, str) and given.startswith("@")


def _records(
    children: dict[str, Any], given: dict[str, Any], own: Sequence[Parameter]
) -> dict[str, Any]:
    """Return child nodes as plain values; a reference stays one, a default is null.

    The core's own keys that aren't given are left out.
    """
    absent = {key.name for key in own if given.get(key.name) is None}

    def record(node: Any, written: Any) -> Any:
        if written is None:
            return None
        if isinstance(written, list):
            return [record(n, w) for n, w in zip(node, written, strict=True)]
        if isinstance(node, list):  # a single one, written without the list
            return record(node[0], written)
        return written if is_reference(written) else node.record

    return {k: record(value, given.get(k)) for k, value in children.items() if k not in absent}
