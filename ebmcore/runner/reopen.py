"""Reopen a run directory: read its record, and build its parts from its own config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from ebmcore.checkpoint.files import Checkpoint, fitting
from ebmcore.checkpoint.network_state import averaged_or_weights
from ebmcore.checkpoint.rank_state import fill_chains
from ebmcore.checkpoint.weights_only import OF_TRAINING
from ebmcore.config import (
    Node,
    Source,
    apply_overrides,
    plugin_selection,
    read_loader,
    read_networks,
    read_transforms,
)
from ebmcore.config import read_node as read_config_node
from ebmcore.contracts import Chains
from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import Data
from ebmcore.data.transforms import Transforms
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, EbmError
from ebmcore.masking import masked_places
from ebmcore.plugins import Host, Selection
from ebmcore.runner.builder import Builder, dataset_of, load_dataset, make_transforms, rows_reader
from ebmcore.runner.checks.data_fit import all_serve, refuse_misfits
from ebmcore.runner.named_run import run_directory
from ebmcore.runner.run_record import recorded_data, without_modules
from ebmcore.runs.directory import check_plain, read_recorded
from ebmcore.runs.parent_child import is_parent
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.sampling import Sampler, StepSize, as_chains, as_kernel, set_precision
from ebmcore.spaces import Space, as_space
from ebmcore.trackers.keys import mlflow_uris
from ebmcore.trackers.mlflow.model.needed import missing_parts
from ebmcore.train.components import STEP_SIZE
from ebmcore.train.device import choose_device
from ebmcore.train.rng import Streams

T = TypeVar("T")


class Facts(NamedTuple):
    """The facts in a run directory that no plugin is needed to read."""

    folder: Path
    run: dict[str, Any]  # run.json
    checkpoint: Checkpoint
    device: torch.device
    bounds: Tensor  # (2, *event), on the device
    skipped_checkpoints: list[str]  # newer ones that are damaged, and why
    space: Space
    state: dict[str, Any]  # the checkpoint's, without that of optimizers and schedules
    masks: Tensor | None = None  # some of the data's, if they have any

    @classmethod
    def read(
        cls, run_dir: str | Path, device: str = "auto", checkpoint: str | int = "last"
    ) -> Facts:
        """Read them; the checkpoint is that of a step, the `best` one, or the last one whole.

        Raises EbmError when the directory is no run or its checkpoint is not as it was written.
        """
        folder = run_directory(run_dir, best=checkpoint == "best")
        try:
            check_plain(folder)
            facts = read_run_json(SafeFiles(folder))
            _ = int(facts["seed"]), facts["status"], facts["from_config"]
            metrics = facts.get("metrics") or {}
            facts["metrics"] = {name: float(value) for name, value in metrics.items()}
            facts["warnings"] = list(facts.get("warnings") or ())
            facts["mlflow"] = dict(facts.get("mlflow") or {})
            space = as_space(facts.get("space", "real"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EbmError(f"{folder}: no run directory (no readable run.json)") from error
        if is_parent(facts):
            raise EbmError(
                f"{folder}: is the parent of other runs and has no energy of its own; open one of "
                f"its children, which `ebmcore runs show {folder}` lists"
            )
        skipped: list[str] = []
        found = _checkpoint(folder / "checkpoints", facts, checkpoint, skipped.append)
        place = choose_device(device, RankInfo.from_environment())
        try:
            data = {name: tensor.to(place) for name, tensor in found.tensors("data").items()}
            bounds = data["bounds"]
        except KeyError as error:
            raise EbmError(f"{found.path}: lacks the data's range") from error
        state = {k: v for k, v in found.state().items() if k not in OF_TRAINING}
        return cls(folder, facts, found, place, bounds, skipped, space, state, data.get("masks"))

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the numbers of an event of the dataset, if the run recorded any."""
        data = self.run.get("data")
        found = data.get("columns") if isinstance(data, dict) else None
        return tuple(map(str, found)) if isinstance(found, list) else None

    def fill_network(self, name: str, network: nn.Module) -> nn.Module:
        """Give a network its trained weights. Raises EbmError when they don't fit."""
        try:
            network.load_state_dict(averaged_or_weights(self.checkpoint, name))
        except RuntimeError as error:
            why = f"the weights don't fit network {name!r}: {error}"
            raise EbmError(f"{self.folder}: {why}") from error
        return network.to(self.device, self.bounds.dtype).eval()

    def fill_transforms(self, transforms: Transforms, saved: Mapping[str, Any]) -> Transforms:
        """Give transforms their fitted state. Raises EbmError when it isn't theirs."""
        try:
            transforms.load_state_dict(saved)
        except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise EbmError(f"{self.folder}: data.transform: {error}") from error
        return transforms

    def fill(self, energy: nn.Module) -> nn.Module:
        """Give an energy the trained weights. Raises EbmError when they don't fit."""
        try:
            energy.load_state_dict(self.checkpoint.averaged_or_weights())
        except RuntimeError as error:
            raise EbmError(f"{self.folder}: the weights don't fit the energy: {error}") from error
        return energy.to(self.device, self.bounds.dtype).eval()


def _checkpoint(
    folder: Path, facts: dict[str, Any], wanted: str | int, warn: Callable[[str], None]
) -> Checkpoint:
    """Return the checkpoint that was asked for."""
    if wanted == "last":
        return Checkpoint.last(folder, warn=warn)
    if wanted == "best":
        try:
            wanted = int(facts["best"]["step"])
        except (KeyError, TypeError, ValueError) as error:
            raise EbmError(
                f"{folder.parent}: no best checkpoint; a run with train.keep_best keeps one"
            ) from error
    try:
        step = int(wanted)
    except ValueError as error:
        raise EbmError(f"checkpoint: should be last, best or a step; got {wanted!r}") from error
    return Checkpoint.of(folder, step)


class Given(TypedDict, total=False):
    """Objects in place of those that a run's config has nodes for, or can't have."""

    data: Any
    energy: nn.Module | None
    networks: Mapping[str, nn.Module] | None
    transforms: Sequence[Any] | None
    sampler: Any
    chains: Any


class MissingPartError(EbmError):
    """A part of a run of objects that can't be made again, and wasn't handed over."""


class Recorded:
    """The parts of a run; each is built of its config when it is asked for, or was handed over.

    Local plugin files and modules that the run was made with are code: they are imported only when
    they are named in `plugins`; modules also if this user recorded the run.
    """

    def __init__(
        self,
        facts: Facts,
        plugins: Sequence[str] = (),
        overrides: Mapping[str, Any] | None = None,
        given: Given | None = None,
    ) -> None:
        self.facts = facts
        self.given: dict[str, Any] = {
            k: part for k, part in (given or {}).items() if part is not None
        }
        self.overrides = dict(overrides or {})
        source = read_recorded(facts.folder)
        self.modules = without_modules(source.tree, facts.run)
        changed = {key.split(".")[0] for key in self.overrides}
        missing = missing_parts(source.tree)
        self.missing = {key: why for key, why in missing.items() if key not in changed}
        self.source: Source = apply_overrides(source, self.overrides)
        self.files = without_files(self.source)
        recorded = plugin_selection(self.source)
        selection = recorded.merged(Selection.from_options(plugins))
        self.host = Host.discover(selection)
        self.host.check(selection)
        self.streams = Streams(facts.run["seed"], facts.device)
        self.builder = Builder(
            self.streams,
            {
                "event_shape": facts.checkpoint.event_shape,
                "data_range": facts.bounds,
                "space": facts.space,
                "device": facts.device,
            },
        )

    @cached_property
    def energy(self) -> nn.Module:
        """The energy, with the trained weights."""
        energy = self.facts.fill(self.builder.energy(self.node("energy")))
        train = self.source.tree.get("train") or {}
        set_precision(energy, train.get("precision", ""), self.facts.device)
        return energy

    @cached_property
    def networks(self) -> dict[str, nn.Module]:
        """The networks, with their trained weights, by name."""
        _ = self.energy
        for name, network in self.given.get("networks", {}).items():
            self.builder.networks[name] = self.facts.fill_network(name, network)
        if self.builder.networks:
            return dict(self.builder.networks)
        self.refuse_missing("networks")
        refuse_masked(self.source, "networks")
        nodes = self.told_of_files(lambda: read_networks(self.source, self.host))
        return {
            name: self.facts.fill_network(name, self.builder.network(name, node))
            for name, node in nodes.items()
        }

    def sampler(self) -> Sampler | None:
        """Build the sampler, if the config has one."""
        if not (self.source.tree.get("sampler") or "sampler" in self.given):
            return None
        node = self.node("sampler")
        parts, space = (node, *node.children), self.facts.space
        if "sampler" not in self.given and not all_serve(parts, space):
            refuse_misfits(parts, space, self.node("dataset", "data"), self.host)
        kernel = as_kernel(self.part(node))
        self._fill_sampler(kernel)
        return Sampler(kernel, node.options["n_steps"])

    def _fill_sampler(self, kernel: Any) -> None:
        """Restore what the run's own sampler remembered; another one has nothing to remember."""
        changed = {key for key in self.overrides if key.split(".")[0] == "sampler"}
        if not changed - {"sampler.n_steps"}:
            self._fill_step_size(kernel)
        if changed or not hasattr(kernel, "load_state_dict"):
            return
        with fitting(self.facts.checkpoint, "the sampler"):
            kept = self.facts.state.get("parts", {})
            if "sampler" in kept:
                kernel.load_state_dict(kept["sampler"])

    def _fill_step_size(self, kernel: Any) -> None:
        """Restore the step size that the run fitted or shrank."""
        kept = self.facts.state.get("parts", {}).get(STEP_SIZE)
        if kept is not None:
            kernel.step_size = StepSize()
            with fitting(self.facts.checkpoint, STEP_SIZE):
                kernel.step_size.load_state_dict(kept)
            kernel.step_size.place(self.facts.device)

    def part(self, node: Node) -> Any:
        """Build a part; one that refers to the energy or a network gets the trained one."""
        _ = self.networks
        return self.builder.part(node)

    def chains(self) -> Chains | None:
        """Build the chains, if the config has any, and put them where the run left them."""
        if not (self.source.tree.get("chains") or "chains" in self.given):
            self.refuse_missing("chains")
            return None
        chains = as_chains(self.part(self.node("chains")))
        if not any(key.split(".")[0] == "chains" for key in self.overrides):
            facts = self.facts
            fill_chains(chains, facts.checkpoint, facts.state, facts.device, "chains")
        return chains

    def data(self) -> Data:
        """Read the data again, split and transformed as they were.

        Raises ConfigError when the rows that the run held out can't be told any more.
        """
        node, facts = self.node("dataset", "data"), self.facts
        known = recorded_data(SafeFiles(facts.folder), facts.run)
        data = load_dataset(node, self.streams, facts.bounds.dtype, self.transforms, known)
        return data.to(facts.device)

    def rows(self, known: Fingerprint | None) -> Data:
        """Read the data again, split as they were and untransformed."""
        node, facts = self.node("dataset", "data"), self.facts
        known = known or recorded_data(SafeFiles(facts.folder), facts.run)
        return rows_reader(node, self.streams.seed, facts.bounds.dtype)(known)

    def dataset(self) -> Any:
        """Build the dataset, without reading it."""
        node = self.node("dataset", "data")
        with dataset_of(node, self.streams, self.facts.bounds.dtype) as dataset:
            return dataset

    @cached_property
    def transforms(self) -> Transforms | None:
        """The transforms of the data, as they were fitted in the run."""
        saved = self.facts.state.get("transforms")
        if saved is None:
            return None
        if given := self.given.get("transforms"):
            names = saved["names"]
            made = Transforms(given, names[: len(given)], self.facts.bounds.dtype)
            if len(made.parts) != len(names):
                raise EbmError(
                    f"{self.facts.folder}: its data were transformed by {', '.join(names)}; load "
                    "it with transforms=[…], made as they were then"
                )
            return self.facts.fill_transforms(made, saved)
        self.refuse_missing("transforms")
        refuse_masked(self.source, "data")
        nodes = self.told_of_files(lambda: read_transforms(self.source, self.host))
        return self.facts.fill_transforms(
            make_transforms(nodes, self.streams, self.facts.bounds.dtype), saved
        )

    def node(self, kind: str, path: str | None = None) -> Node:
        """Read one node of the config. Raises EbmError that names local files it may lie in."""
        key = path or kind
        if key in self.given:
            return self._handed_over(kind, key)
        self.refuse_missing(key)
        refuse_masked(self.source, key)
        return self.told_of_files(lambda: read_config_node(self.source, self.host, kind, path))

    def refuse_missing(self, key: str) -> None:
        """Raise MissingPartError for a part that the config of a run of objects has no node for."""
        if key in self.missing:
            raise MissingPartError(
                f"{self.facts.folder}: made of objects, and its {key} can't be made again: "
                f"{self.missing[key]}. In Python, hand it over: ebmcore.load(…, {key}=…), or "
                f"ebmcore.evaluate(…, {key}=…)"
            )

    def _handed_over(self, kind: str, key: str) -> Node:
        """Return a node that makes an object which was handed over."""
        part, told = self.given[key], self.source.tree.get(key)
        options = dict(told) if isinstance(told, dict) else {}
        if kind == "sampler":
            options = {"n_steps": int(options.get("n_steps", 10))}
        elif kind == "dataset":
            if (loader := options.get("loader")) is not None:
                options["loader"] = read_loader(loader)
            options = {"holdout": 0.0, "stratify": False, **options, "transform": None}
        return Node(key, kind, key, lambda: part, None, {}, options, {}, "handed over")

    def told_of_files(self, read: Callable[[], T]) -> T:
        """Call a reader of the config; a part that it can't find may be in a local plugin file."""
        try:
            return read()
        except ConfigError as error:
            if not (self.files or self.modules):
                raise
            raise EbmError(trust(error, self.source, self.files, self.modules)) from error


def refuse_masked(source: Source, only: str | None = None) -> None:
    """Raise ConfigError when a password in a config was masked, as a run records it.

    That of the tracking server may come from the environment, and is asked for when it's needed.
    """
    later = mlflow_uris(source.tree.get("tracking"))
    problems = [
        source.problem(place, "its password was masked when it was recorded; write it in again")
        for place in masked_places(source.tree)
        if place not in later and (only is None or place.partition(".")[0] == only)
    ]
    if problems:
        raise ConfigError(problems)


def without_files(source: Source) -> list[str]:
    """Take the local plugin files out of a recorded config, and return them: they are code."""
    section = source.tree.get("plugins")
    if not isinstance(section, dict) or not isinstance(section.get("files"), list):
        return []  # what else stands there is refused when the section is read
    source.tree["plugins"] = {**section, "files": []}
    return [str(file) for file in section["files"]]


def trust(error: ConfigError, source: Source, files: Sequence[str], modules: Sequence[str]) -> str:
    """Name the part that wasn't found, and the files and modules of the run that may hold it."""
    kinds = ["local plugin files"] * bool(files) + ["modules of Python"] * bool(modules)
    named = [*(str(source.folder / file) for file in files), *(f"module:{m}" for m in modules)]
    hint = " ".join(f"-p {one}" for one in named)
    return f"{error}\nThe run used {' and '.join(kinds)}. If you trust them, add {hint}"
