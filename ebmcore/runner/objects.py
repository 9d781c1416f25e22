"""Objects as nodes of a config: each is made again of its node, once, and compared with itself.

A node names the object's class or function, and the arguments that its attributes of the same name
hold. It is recorded if the object that it makes, given the same state, is the same in everything;
otherwise the reason is.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import pickle
import random
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ebmcore.config import AUTO, Cadence, Node, Parameter, Source, keys_of, nested, read_node
from ebmcore.config.values.signature import filled_slots
from ebmcore.data.mapped import Mapped
from ebmcore.data.values.arrays import is_frame
from ebmcore.errors import EbmError, first_line
from ebmcore.plugins import Host, Selection
from ebmcore.plugins.builtin import CORE
from ebmcore.runner.builder import Builder, dataset_of, make_transforms
from ebmcore.runner.spec import RunSpec
from ebmcore.sampling import StepSize
from ebmcore.sampling.function_kernel import StartFunction, StepFunction
from ebmcore.trackers.entry import described_trackers
from ebmcore.trackers.mlflow.model.needed import MADE
from ebmcore.train.rng import Streams

_MAKERS = ("optimizer", "lr_scheduler")
_LONGEST = 10_000  # characters of an argument


class UnwrittenError(Exception):
    """An object that no node makes again; the message says why."""


def described(spec: RunSpec) -> tuple[dict[str, Any], list[Node], Host]:
    """Return the config of an experiment that was made of objects, its nodes, and their plugins.

    It has a node for each part that can be made again; `missing` says why the others can't.
    """
    parts, writer, given = spec.parts, _Writer(spec), dict(spec.origin.given)
    missing: dict[str, str] = {}
    nodes: list[Node] = []
    steps = {"n_steps": parts.sampler.n_steps} if parts.sampler else {}
    split = {key: given[key] for key in ("holdout", "stratify", "space", "loader")}
    tree: dict[str, Any] = {"data": split, **({"sampler": steps} if steps else {})}
    of_lr = {"metric": parts.lr_metric} if parts.lr_metric else {"interval": parts.lr_interval}
    schedule, transforms = given["lr_scheduler"], parts.data.transforms
    source = getattr(parts.data.source, "original", parts.data.source)  # not its density
    entries: dict[str, Any] = {
        "transforms": [(of, {}) for of in (transforms.parts if transforms else ())],
        "data": (source, split),
        "energy": (parts.energy, {}),
        "networks": {name: (of, {}) for name, of in parts.networks.items()},
        "sampler": parts.sampler and (parts.sampler.kernel, steps),
        "chains": () if parts.chains is None else (parts.chains, {}),
        "loss": [(of.function, {"weight": of.weight, "name": of.name}) for of in parts.losses],
        "optimizer": (given["optimizer"], {}),
        "optimizers": {name: (of, {}) for name, of in given["optimizers"].items()},
        "lr_scheduler": schedule and (schedule, of_lr),
        "monitors": [
            (of.function, {"every": _text(of.every), "name": of.name}) for of in parts.monitors
        ],
        "callbacks": [(of.callback, {"name": of.name}) for of in parts.callbacks],
    }
    others = random.getstate(), np.random.get_state()
    for key, objects in entries.items():
        if not objects:
            continue
        try:
            record, made_of = writer.write("dataset" if key == "data" else key, key, objects)
        except (UnwrittenError, EbmError) as error:
            missing[key] = str(error)
        except Exception as error:  # the object's own code raised
            missing[key] = f"making it again raised {first_line(error)}"
        else:
            nodes += made_of
            if key == "transforms":
                split["transform"] = record
            else:
                tree[key] = record
    random.setstate(others[0])
    np.random.set_state(others[1])
    tracking = described_trackers(spec.tracking)
    if MADE in str(tracking):
        missing["tracking"] = "a tracker was handed over as an object"
    plugins = [node.component.plugin for node in nodes if node.component]
    modules = sorted({plugin.name for plugin in plugins if not plugin.distribution})
    writer.host.modules = tuple(modules)
    said = {name: repr(getattr(parts, name)) for name in ("energy", "sampler", "chains")}
    return {
        "name": spec.name,
        "seed": spec.seed,
        "device": given["device"],
        "dtype": str(writer.dtype).removeprefix("torch."),
        "compile": spec.compile,
        "threads": spec.threads,
        "plugins": {"require": [], "disable": [], "files": [], "modules": modules},
        **tree,
        MADE: {**said, "missing": missing},
        "train": asdict(spec.train),
        "tracking": tracking,
    }, nodes, writer.host  # fmt: skip


class _Writer:
    def __init__(self, spec: RunSpec) -> None:
        # the user imported these modules already
        selection = Selection.from_options(())._replace(modules=tuple(sys.modules))
        self.host = Host.discover(selection)
        data = spec.parts.data
        self.dtype = data.bounds.dtype
        self.streams = Streams(spec.seed, spec.device)
        slots = {"event_shape": data.event_shape, "data_range": data.bounds, "space": data.space}
        self.builder = Builder(self.streams, {**slots, "device": spec.device})

    def write(self, kind: str, path: str, given: Any) -> tuple[Any, list[Node]]:
        """Return the record and the nodes of an object with its own keys, or of several.

        Raises UnwrittenError, EbmError, or anything that the object's own code raises.
        """
        if isinstance(given, list | dict):
            named = given if isinstance(given, dict) else dict(enumerate(given))
            one = kind.removesuffix("s") if kind != "loss" else kind
            read = {name: self.write(one, f"{path}.{name}", of) for name, of in named.items()}
            nodes = [node for _, of in read.values() for node in of]
            records = {name: record for name, (record, _) in read.items()}
            return records if isinstance(given, dict) else list(records.values()), nodes
        part, own = _inner(given[0]), given[1]
        tree = {path: {**self.written(kind, part), **own}}
        node = read_node(Source(tree), self.host, kind, path)
        if kind in _MAKERS:  # which make it of parameters; all that they hold are their values
            part = dict(part.keywords) if isinstance(part, partial) else {}
            made = {key: node.values[key] for key in part}
        else:
            made = _inner(self.made(node))
            if hasattr(part, "load_state_dict") and (state := part.state_dict()):
                made.load_state_dict(state)
        if (where := _difference(part, made)) is not None:
            why = "made again of its class and the arguments that it keeps, it differs"
            raise UnwrittenError(why + where)
        return node.record, [node, *node.children]

    def made(self, node: Node) -> Any:
        """Make an object of its node, as opening the run does."""
        if node.kind == "dataset":
            with dataset_of(node, self.streams, self.dtype) as dataset:
                return dataset
        if node.kind == "transform":
            return make_transforms([node], self.streams, self.dtype).parts[0]
        if node.kind == "network":
            made: Any = self.builder.network(node.path.partition(".")[2], node)
        else:
            made = self.builder.energy(node) if node.kind == "energy" else self.builder.part(node)
        return made.to(dtype=self.dtype) if isinstance(made, nn.Module) else made

    def written(self, kind: str, part: Any) -> dict[str, Any]:
        """Return the type and the arguments of an object."""
        if isinstance(part, Tensor | np.ndarray | list | tuple | dict) or is_frame(part):
            raise UnwrittenError(f"it is in memory alone ({type(part).__name__})")
        values: Mapping[str, Any] = {}
        if is_instance := not (inspect.isfunction(part) or inspect.isclass(part)):
            if isinstance(part, partial) and not part.args:
                part, values, is_instance = part.func, part.keywords, False
            elif isinstance(part, partial) or kind in _MAKERS:
                raise UnwrittenError("give it as a function, or as functools.partial of keywords")
        target = type(part) if is_instance else part
        type_ = self.type_of(kind, target)
        keys, slots = keys_of(kind, target), filled_slots(kind, target)
        if is_instance:
            names = (*(key.name for key in keys), *slots)
            values = {name: getattr(part, name) for name in names if hasattr(part, name)}
        # a slot that it wasn't given stays empty
        node = {slot: None for slot in slots if values.get(slot, is_instance or None) is None}
        for key in keys:
            try:
                if key.name in values:
                    node[key.name] = self.value(key, values[key.name])
            except UnwrittenError:
                if not is_instance or key.default is inspect.Parameter.empty:
                    raise
        if not is_instance and (strange := sorted(set(values) - set(node))):
            raise UnwrittenError(f"a config can't set {strange[0]}, one of its arguments")
        return {"type": type_, **node}

    def value(self, key: Parameter, value: Any) -> Any:
        """Return an argument as a config has it."""
        if isinstance(value, StepSize) and value.auto:
            return "auto"
        inner = nested(key.annotation)
        if inner is not None and value is not None:
            many = isinstance(value, list | tuple)
            nodes = [self.written(inner.kind, one) for one in (value if many else [value])]
            return nodes if many else nodes[0]
        try:
            if len(text := json.dumps(value)) > _LONGEST:
                raise UnwrittenError(f"its argument {key.name} is too long for a config")
            return json.loads(text)
        except (TypeError, ValueError) as error:
            kind = type(value).__name__
            raise UnwrittenError(f"its argument {key.name} is no plain value ({kind})") from error

    def type_of(self, kind: str, target: Any) -> str:
        """Return a class or a function as a config names it: a plugin's, or a module's own."""
        module, name = target.__module__, target.__qualname__
        top = module.partition(".")[0]
        for component in self.host.components(kind):
            there = component.target
            near = isinstance(there, str) and there.replace(":", ".").partition(".")[0] == top
            if there is target or (near and component.load() is target):
                return component.name if component.plugin == CORE else component.full_name
        if "<lambda>" in name:
            raise UnwrittenError("it is a lambda, which no other process can import")
        if "<locals>" in name:
            raise UnwrittenError(f"{name.rpartition('.')[2]} is defined inside a function")
        if module == "__main__":
            raise UnwrittenError(f"{name} is defined in a script or a notebook, not in a module")
        if not any(f.find_spec(top, None) for f in sys.meta_path if hasattr(f, "find_spec")):
            raise UnwrittenError(f"no path leads to the module {module} that defines {name}")
        return f"{module}:{name}"


def _text(every: Cadence) -> str:
    if every.auto:
        return AUTO
    return "end" if every.unit == "end" else f"{every.count} {every.unit}s"


def _inner(part: Any) -> Any:
    """Return the function that ebmcore wrapped as a part, or the part."""
    if isinstance(part, StepFunction):
        return part.step
    return part.function if isinstance(part, StartFunction | Mapped) else part


def _difference(part: Any, made: Any) -> str | None:
    """Say where an object that was made again differs; None when it is the same."""
    if isinstance(made, partial):  # whose node has all defaults filled in
        given, function = getattr(part, "keywords", {}), getattr(part, "func", part)
        defaults = {p.name: p.default for p in inspect.signature(function).parameters.values()}
        part = (function, {name: given.get(name, defaults.get(name)) for name in made.keywords})
        made = (made.func, made.keywords)
    if _State.of(part) == _State.of(made):
        return None
    one, other = ({**vars(of), **vars(of).get("_modules", {})} if hasattr(of, "__dict__") else {}
                  for of in (part, made))  # fmt: skip
    differ = (n for n in one if n not in other or _State.of(one[n]) != _State.of(other[n]))
    return next((f" in {name}" for name in differ if not name.startswith("_")), "")


class _State(pickle.Pickler):
    """Everything that an object holds, as bytes to compare, which nothing unpickles."""

    tensors: dict[int, int]  # in the order of their first place

    @classmethod
    def of(cls, part: Any) -> bytes:
        """Return an object's state. Raises as `pickle` does for what it can't see into."""
        stream = io.BytesIO()
        pickler = cls(stream, protocol=4)
        pickler.tensors = {}
        pickler.dump(part)
        return stream.getvalue()

    def persistent_id(self, part: Any) -> bytes | None:
        """Name a text by itself, wherever it comes from, and a tensor by its place and numbers."""
        if type(part) is str:
            return part.encode("utf-8", "surrogatepass")
        if isinstance(part, StepSize):  # whose value is in checkpoints
            return str(part.auto).encode()
        if not isinstance(part, Tensor):
            return None
        number = self.tensors.setdefault(id(part), len(self.tensors))
        numbers = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest = hashlib.blake2b(numbers.data).hexdigest()
        told = (number, type(part), part.shape, part.dtype, part.requires_grad, digest)
        return str(told).encode()
