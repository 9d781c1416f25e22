"""The sections `networks` and `optimizers`, and what a loss trains, as a config writes them."""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ebmcore.config.components import NodeReader
from ebmcore.config.model import Node
from ebmcore.contracts import BUILD_SLOTS, LOSS_SLOTS

ENERGY = "energy"  # what a loss trains by default
_TAKEN = {
    "energy": "losses get the energy as 'energy'",
    "x": "losses get the batch of data as 'x'",
    "x_neg": "losses get the samples of the model as 'x_neg'",
    "y": "losses get the labels of the data as 'y'",
    "y_neg": "losses get the labels of the samples as 'y_neg'",
    "step": "losses get the number of steps done as 'step'",
    "sampler": "losses get the sampler as 'sampler'",
    "chains": "losses get the chains as 'chains'",
    "generator": "losses get their random stream as 'generator'",
    "networks": "losses get all networks by name as 'networks'",
    "event_shape": "constructors get the shape of one event as 'event_shape'",
    "data_range": "constructors get the range of the data as 'data_range'",
    "device": "constructors get the device as 'device'",
    "training_data": "constructors get the training data as 'training_data'",
    "self": "methods get their object as 'self'",
}


def name_fault(name: Any) -> str | None:
    """Say why a network can't have a name; None when it can."""
    if name in (*_TAKEN, *LOSS_SLOTS, *BUILD_SLOTS):
        why = _TAKEN.get(name, f"losses or constructors get something else as {name!r}")
        return f"{why}; give the network another name, such as 'proposer'"
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return (
            "losses name a network by a parameter, so its name should be an identifier: letters, "
            f"digits and '_', no digit first; got {name!r}"
        )
    return None


def trains_fault(trains: Iterable[Any], networks: Collection[str]) -> str | None:
    """Say why a loss can't train these targets; None when it can."""
    names = list(trains)
    there = (ENERGY, *networks)
    for name in names:
        if name not in there:
            return f"there is no network {name!r} to train; {choices(name, there)}"
    if not names:
        return "is empty; name what the loss trains, such as energy"
    if len(set(names)) < len(names):
        return f"names one of them twice: {', '.join(map(str, names))}"
    return None


def as_targets(trains: Any) -> tuple[str, ...]:
    """Return what a loss trains, `"proposer"` or `("energy", "proposer")`, as a tuple."""
    return (trains,) if isinstance(trains, str) else tuple(trains)


def choices(name: Any, there: Collection[str]) -> str:
    """List the choices for a name, the near ones first."""
    near = difflib.get_close_matches(str(name), there, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(there) or 'none'}"


def network_nodes(reader: NodeReader, given: Any) -> dict[str, Node]:
    """Read the section `networks`."""
    found = _section(reader, "networks", given)
    nodes: dict[str, Node] = {}
    for name, entry in found.items():
        fault = name_fault(name)
        if fault is not None:
            reader.fault(f"networks.{name}", fault)
            continue
        node = reader.node("network", entry, f"networks.{name}")
        if node is not None:
            nodes[name] = node
    return nodes


def optimizer_nodes(reader: NodeReader, given: Any, networks: Any) -> dict[str, Node]:
    """Read the section `optimizers`, whose names are those of networks."""
    there = list(networks) if isinstance(networks, Mapping) else []
    nodes: dict[str, Node] = {}
    for name, entry in _section(reader, "optimizers", given).items():
        if name not in there:
            own = " (the energy's is the section `optimizer`)" if name == ENERGY else ""
            reader.fault(f"optimizers.{name}", f"no such network{own}; {choices(name, there)}")
            continue
        node = reader.node("optimizer", entry, f"optimizers.{name}")
        if node is not None:
            nodes[name] = node
    return nodes


def check_trains(reader: NodeReader, losses: Iterable[Node], networks: Any) -> None:
    """Refuse losses whose key `trains` names no network."""
    there = list(networks) if isinstance(networks, Mapping) else []
    for node in losses:
        trains = node.options.get("trains")
        fault = None if trains is None else trains_fault(as_targets(trains), there)
        if fault is not None:
            reader.fault(f"{node.path}.trains", fault)


def _section(reader: NodeReader, key: str, given: Any) -> dict[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        reader.fault(key, f"should be a mapping of names to nodes; got {given!r}")
        return {}
    return given
