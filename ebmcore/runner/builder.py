"""Build the parts of a validated config, each with streams of its own, and read its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from ebmcore.config import Node, build
from ebmcore.config.build import too_much
from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import Data, default_dtype, load_data
from ebmcore.data.mapped import as_transform
from ebmcore.data.streamed import stream_data
from ebmcore.data.transformed import transform_data
from ebmcore.data.transforms import TransformError, Transforms
from ebmcore.errors import ConfigError, DataError, Problem, raised_at, too_large
from ebmcore.runner.checks.data_fit import declared_space
from ebmcore.runner.results import RowsReader
from ebmcore.train.rng import Streams, derive, own_global_stream

_CPU = torch.device("cpu")


class Slots(dict[str, Any]):
    """The runtime objects that a constructor may ask for; a stream is made when one does."""

    def __init__(self, streams: Streams, purpose: str, **values: Any) -> None:
        super().__init__(values)
        self.stream = partial(streams, purpose, on_cpu=True)

    def __missing__(self, name: str) -> Any:
        return self.stream() if name == "generator" else None


class Builder:
    """Builds the nodes of one config; a node that several others refer to is built once.

    A run and the same run opened again build the same objects: each part has streams of its own.
    """

    def __init__(self, streams: Streams, slots: Mapping[str, Any]) -> None:
        self.streams = streams
        self.networks: dict[str, nn.Module] = {}  # as far as they are built
        self.slots = {**slots, "networks": self.networks}
        self.built: dict[str, Any] = {}  # by place

    def energy(self, node: Node) -> nn.Module:
        """Build the energy; its initial weights come from a stream of their own.

        Raises ConfigError when the component doesn't make an nn.Module.
        """
        return self._module(node, "weights")

    def network(self, name: str, node: Node) -> nn.Module:
        """Build a network as the energy is built, and hand it to the parts that come after."""
        self.networks[name] = self._module(node, f"weights of network {name}")
        return self.networks[name]

    def _module(self, node: Node, purpose: str) -> nn.Module:
        on_meta = self.slots["device"].type == "meta"
        weights = self.streams(purpose, on_cpu=True).initial_seed()
        # weights are drawn on the CPU, so that they are the same on every device
        with own_global_stream(weights, _CPU), self.slots["device"] if on_meta else nullcontext():
            module = build(node, Slots(self.streams, purpose, **self.slots), self.built)
        if not isinstance(module, nn.Module):
            made = type(module).__name__
            message = f"{node.type} makes {made}, not an nn.Module that can be trained"
            raise ConfigError([Problem(node.path, message, node.where)])
        return module

    def part(self, node: Node | None) -> Any:
        """Build any other part; None when the config has no such node."""
        if node is None:
            return None
        purpose = f"build {node.kind} {node.name}"  # its place may be written in two ways
        with own_global_stream(self.streams.derived(purpose), _CPU):
            return build(node, Slots(self.streams, purpose, **self.slots), self.built)


def provenance_of(node: Node) -> dict[str, Any]:
    """Return the origin of a part, for the record: its plugin and that plugin's version."""
    assert node.component is not None
    plugin = node.component.plugin
    return {
        "path": node.path,
        "component": node.component.full_name,
        "kind": node.kind,
        "distribution": plugin.distribution or None,
        "version": plugin.version or None,
        "revision": _revision(node.target),
    }


def _revision(target: Any) -> str | int | float | None:
    """Return the `revision` of a part, as JSON can hold it."""
    try:
        revision = getattr(target, "revision", None)
        return revision if isinstance(revision, str | int | float | None) else str(revision)
    except Exception:  # a part's own fault, which is no reason to stop a run
        return None


def load_dataset(
    node: Node,
    streams: Streams,
    dtype: torch.dtype,
    transforms: Transforms | None = None,
    known: Fingerprint | None = None,
) -> Data:
    """Build a dataset, read it and transform it; the same streams draw and split the same points.

    `transforms` are those of a run that is opened again; by default the node's own are fitted.
    `known` is what that run recorded of its rows.
    """
    data = _read_dataset(node, streams, dtype, known)
    nodes = node.options.get("transform") or ()
    if transforms is None:
        transforms = make_transforms(nodes, streams, dtype)
    if not transforms.parts:
        return data
    try:
        generator = streams("transform data", on_cpu=True)
        return transform_data(data, transforms, generator, overwrite=True)
    except TransformError as error:
        at = nodes[error.index]
        raise ConfigError([Problem(at.path, f"{at.type}: {error}", at.where)]) from error


def rows_reader(node: Node, seed: int, dtype: torch.dtype) -> RowsReader:
    """Return what reads the rows of a dataset again as a run of this seed did, untransformed."""

    def read(known: Fingerprint | None) -> Data:
        return load_dataset(node, Streams(seed), dtype, Transforms(dtype=dtype), known)

    return read


def make_transforms(nodes: Sequence[Node], streams: Streams, dtype: torch.dtype) -> Transforms:
    """Build the transforms of a dataset's node, not yet fitted."""
    built: dict[str, Any] = {}
    parts = []
    for i, node in enumerate(nodes):
        purpose = f"build transform {i}"
        with default_dtype(dtype), own_global_stream(streams.derived(purpose), _CPU):
            part = build(node, Slots(streams, purpose), built)
        try:
            parts.append(as_transform(part))
        except TypeError as error:
            message = f"{node.type} makes no transform: it {error}"
            raise ConfigError([Problem(node.path, message, node.where)]) from error
    return Transforms(parts, [node.name for node in nodes], dtype)


@contextmanager
def dataset_of(node: Node, streams: Streams, dtype: torch.dtype) -> Iterator[Any]:
    """Build a dataset; within, one that draws from torch's global generator repeats itself, too."""
    with default_dtype(dtype), own_global_stream(derive(streams.seed, "data"), _CPU):
        yield build(node, Slots(streams, "data", space=declared_space(node)))


def _read_dataset(
    node: Node, streams: Streams, dtype: torch.dtype, known: Fingerprint | None
) -> Data:
    space, loader = declared_space(node), node.options.get("loader")
    read: Callable[..., Data] = load_data
    if loader is not None:
        read = partial(stream_data, loader=loader, seed=streams.seed)
    with dataset_of(node, streams, dtype) as dataset:
        try:
            return read(
                dataset,
                holdout=node.options["holdout"],
                stratify=node.options["stratify"],
                generator=streams("split", on_cpu=True),
                dtype=dtype,
                space=space if node.options.get("space") is not None else None,
                known=known,
            )
        except DataError as error:
            raise ConfigError([Problem(node.path, str(error), node.where)]) from error
        except (Exception, SystemExit) as error:
            if too_large(error):
                problem = Problem(node.path, too_much(node, error), node.where)
                raise ConfigError([problem]) from error
            what = f"{type(error).__name__}: {error} ({raised_at(error)})"
            message = f"{node.label} can't give its data: {what}"
            raise ConfigError([Problem(node.path, message, node.where)]) from error
