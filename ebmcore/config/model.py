"""A validated config: nodes, each a component with values that fit, and the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ebmcore.config.sections import Settings, Train
from ebmcore.plugins import Component
from ebmcore.plugins.builtin import CORE


class Node(NamedTuple):
    """One component of a config, with values that fit its signature."""

    path: str
    kind: str
    type: str  # as it was written
    target: Any  # the class or function
    component: Component | None  # None in the kit alone, for a class that no plugin offers
    values: dict[str, Any]
    options: dict[str, Any]  # the core's own keys: n_steps, weight, every, …
    record: dict[str, Any]  # all keys as plain values, every default filled in
    where: str = ""

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes among its values, and the nodes in them."""
        every = (*self.values.values(), *self.options.values())
        lists = (v if isinstance(v, list) else [v] for v in every)
        direct = [node for values in lists for node in values if isinstance(node, Node)]
        return tuple(n for node in direct for n in (node, *node.children))

    @property
    def name(self) -> str:
        """The name in metrics and messages."""
        return self.options.get("name") or self.type.rpartition(":")[2]

    @property
    def label(self) -> str:
        """The component and its plugin, for a message."""
        if self.component is None:
            return f"{self.target.__module__}.{self.type}"
        return f"{self.kind} {self.component.full_name!r} (plugin {self.component.plugin.origin})"


@dataclass(frozen=True, kw_only=True)
class Config:
    """A valid config; `record` is the same as plain values, every default filled in."""

    settings: Settings
    train: Train
    tracking: tuple[Node, ...]  # empty: the run is sent nowhere
    data: Node
    energy: Node
    networks: dict[str, Node]  # by name
    sampler: Node | None
    chains: Node | None
    losses: tuple[Node, ...]
    optimizer: Node
    optimizers: dict[str, Node]  # of networks, by their name
    lr_scheduler: Node | None
    monitors: tuple[Node, ...]
    callbacks: tuple[Node, ...]
    record: dict[str, Any]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All components of plugins, nested ones too, each once."""
        parts = (self.data, self.energy, *self.networks.values(), self.sampler, self.chains)
        steps = (self.optimizer, *self.optimizers.values(), self.lr_scheduler)
        lists = (*self.losses, *self.monitors, *self.callbacks, *self.tracking)
        there = (outer for outer in (*parts, *lists, *steps) if outer is not None)
        nodes = (node for outer in there for node in (outer, *outer.children))
        offered = (n for n in nodes if n.component is None or n.component.plugin != CORE)
        return tuple({node.path: node for node in offered}.values())
