"""A whole config checked against the installed plugins: every problem at once, or a valid tree."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields
from typing import Any

from ebmcore.config.build import loss_slots
from ebmcore.config.components import PARTS, NodeReader, is_reference
from ebmcore.config.metrics import Recorded, Wanted, followed
from ebmcore.config.model import Config, Node
from ebmcore.config.networks import check_trains, network_nodes, optimizer_nodes
from ebmcore.config.sections import Loader, Plugins, Settings, Tracking, Train, is_section
from ebmcore.config.source import DEFAULT_OPTIMIZER, Source
from ebmcore.config.values.check import check
from ebmcore.config.values.signature import REQUIRED, Parameter, is_part, parameters
from ebmcore.errors import ConfigError
from ebmcore.kinds import KINDS
from ebmcore.plugins import Host, Selection

_SETTINGS = tuple(p.name for p in parameters(Settings))
_NODES = (
    *("data", "energy", "networks", "sampler", "chains", "loss"),
    *("optimizer", "optimizers", "lr_scheduler", "monitors", "callbacks"),
)
_REQUIRED = ("data", "energy", "loss", "train")


def plugin_selection(source: Source) -> Selection:
    """Read the plugins that a config asks for, before any is loaded. Raises ConfigError."""
    given = source.tree.get("plugins")
    given = {} if given is None else given
    if not isinstance(given, dict):
        wrong = source.problem("plugins", f"should be a mapping; got {given!r}")
        raise ConfigError([*source.problems, wrong])
    checked = check(parameters(Plugins), given)
    if checked.faults:
        faults = (source.problem(f"plugins.{at}", text) for at, text in checked.faults)
        raise ConfigError([*source.problems, *faults])
    files = tuple(str(source.folder / file) for file in checked.values["files"])
    values = checked.values
    modules = tuple(values["modules"])
    return Selection(tuple(values["require"]), tuple(values["disable"]), files, modules=modules)


def validate(source: Source, host: Host, selection: Selection | None = None) -> Config:
    """Check a config against its plugins. Raises ConfigError with every problem in it."""
    return _Reader(source, host).read(selection or Selection())


def read_train(given: dict[str, Any]) -> Train:
    """Check a `train` section against its keys. Raises ConfigError."""
    train: Train = _read_section(Train, given, "train")
    return train


def read_loader(given: dict[str, Any], path: str = "data.loader") -> Loader:
    """Check the keys of `data.loader`. Raises ConfigError."""
    loader: Loader = _read_section(Loader, given, path)
    return loader


def _read_section(cls: type[Any], given: Any, path: str) -> Any:
    reader = _Reader(Source({path: given}), Host(()))
    section = reader.section(cls, given, path)
    if section is None:
        raise ConfigError(reader.problems)
    return section


def read_node(source: Source, host: Host, kind: str, path: str | None = None) -> Node:
    """Check one component of a recorded config against its plugin. Raises ConfigError."""
    reader = _Reader(source, host)
    path = path or kind
    node = reader.node(kind, source.tree.get(path), path)
    if node is None:
        raise ConfigError(reader.problems or [source.problem(path, "missing")])
    return node


def read_nodes(source: Source, host: Host, kind: str, path: str | None = None) -> tuple[Node, ...]:
    """Check all components of a kind in a recorded config, or at a path. Raises ConfigError."""
    reader = _Reader(source, host)
    path = path or KINDS[kind].key
    nodes = reader.nodes(kind, source.tree.get(path), path)
    if reader.problems:
        raise ConfigError(reader.problems)
    return nodes


def read_networks(source: Source, host: Host) -> dict[str, Node]:
    """Check the networks of a recorded config. Raises ConfigError."""
    reader = _Reader(source, host)
    nodes = network_nodes(reader, source.tree.get("networks"))
    if reader.problems:
        raise ConfigError(reader.problems)
    return nodes


def read_transforms(source: Source, host: Host) -> tuple[Node, ...]:
    """Check the transforms of a recorded config's data, but not the dataset. Raises ConfigError."""
    reader = _Reader(source, host)
    at = "data"
    data: Any = source.tree.get(at)
    if is_reference(data):
        name = data.removeprefix("@")
        data, at = reader.parts.get(name), f"{PARTS}.{name}"
    given = data.get("transform") if isinstance(data, dict) else None
    entries = given if isinstance(given, list) else [] if given is None else [given]
    places = [f"{at}.transform{f'.{i}' * isinstance(given, list)}" for i in range(len(entries))]
    pairs = zip(entries, places, strict=True)
    read = [reader.node("transform", entry, place, own=()) for entry, place in pairs]
    if reader.problems:
        raise ConfigError(reader.problems)
    return tuple(node for node in read if node is not None)


def read_trackers(source: Source, host: Host) -> tuple[Node, ...]:
    """Check the trackers of a recorded config. Raises ConfigError."""
    reader = _Reader(source, host)
    nodes = reader.trackers(source.tree.get("tracking"))
    if reader.problems:
        raise ConfigError(reader.problems)
    return nodes


class _Reader(NodeReader):
    def read(self, selection: Selection) -> Config:
        tree = self.source.tree
        self.problems += self.source.problems
        self.check_keys(tree)
        settings = self.section(Settings, {k: tree[k] for k in _SETTINGS if k in tree}, "")
        train = self.section(Train, tree.get("train", {}), "train")
        tracking = self.trackers(tree.get("tracking"))
        data = self.node("dataset", tree.get("data"), "data")
        energy = self.node("energy", tree.get("energy"), "energy")
        networks = network_nodes(self, tree.get("networks"))
        sampler = self.optional("sampler", tree.get("sampler"), "sampler")
        chains = self.optional("chains", tree.get("chains"), "chains")
        losses = self.nodes("loss", tree.get("loss"), "loss")
        steps = tree.get("optimizer")
        optimizer = self.node(
            "optimizer", DEFAULT_OPTIMIZER if steps is None else steps, "optimizer"
        )
        optimizers = optimizer_nodes(self, tree.get("optimizers"), tree.get("networks"))
        schedule = self.optional("lr_scheduler", tree.get("lr_scheduler"), "lr_scheduler")
        monitors = self.nodes("monitor", tree.get("monitors"), "monitors")
        callbacks = self.nodes("callback", tree.get("callbacks"), "callbacks")
        self.check_slots(losses, sampler, chains)
        check_trains(self, losses, tree.get("networks"))
        self.check_parts(tree.get(PARTS))
        recorded = Recorded.of(losses, monitors, callbacks, self.network_names, self.host)
        for key, read in (("loss", losses), ("monitors", monitors), ("callbacks", callbacks)):
            recorded = recorded.and_unread(key, tree.get(key), read)
        self.check_followed(recorded, train, schedule, callbacks)
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
                **({"modules": list(selection.modules)} if selection.modules else {}),
            },
            **self.records(),
            **_named_records("networks", networks),
            "loss": [node.record for node in losses],
            "optimizer": optimizer.record,
            **_named_records("optimizers", optimizers),
            "lr_scheduler": schedule and schedule.record,
            "train": asdict(train),
            "monitors": [node.record for node in monitors],
            **({"callbacks": [node.record for node in callbacks]} if callbacks else {}),
            "tracking": _tracking_record(tree.get("tracking"), tracking),
        }
        return Config(
            settings=settings,
            train=train,
            tracking=tracking,
            data=data,
            energy=energy,
            networks=networks,
            sampler=sampler,
            chains=chains,
            losses=losses,
            optimizer=optimizer,
            optimizers=optimizers,
            lr_scheduler=schedule,
            monitors=monitors,
            callbacks=callbacks,
            record=record,
        )

    def check_keys(self, tree: dict[str, Any]) -> None:
        """Report unknown keys, and missing keys that every config needs."""
        known = (*_SETTINGS, "plugins", PARTS, *_NODES, "train", "tracking")
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

    def trackers(self, given: Any) -> tuple[Node, ...]:
        """Read `tracking`: MLflow's keys, one tracker, a list of them, or `off`."""
        if given == "off" or given is False:
            return ()
        if is_section(given):
            section = self.section(Tracking, given or {}, "tracking")
            return () if section is None else (self._mlflow(section),)
        if not isinstance(given, (str, dict, list)):
            self.fault("tracking", f"should be a mapping; got {given!r}")
            return ()
        if given == []:
            self.fault("tracking", "should be a mapping; got []. `off` sends the run nowhere")
        return self.nodes("tracker", given, "tracking")

    def _mlflow(self, section: Tracking) -> Node:
        component = self.host.find("tracker", "ebmcore:mlflow")
        return Node(
            path="tracking",
            kind="tracker",
            type="mlflow",
            target=component.load(),
            component=component,
            options={},
            where=self.source.where("tracking"),
            values={key.name: getattr(section, key.name) for key in fields(section)},
            record={"type": "mlflow", **asdict(section)},
        )

    def records(self) -> dict[str, Any]:
        """Return the shared nodes as plain values; a reference stays one."""
        tree = self.source.tree

        def record(given: Any, path: str) -> Any:
            node = self.shared.get(path)
            return given if is_reference(given) else node and node.record

        parts = {k: record(given, f"{PARTS}.{k}") for k, given in (tree.get(PARTS) or {}).items()}
        main = {k: record(tree.get(k), k) for k in ("data", "energy", "sampler", "chains")}
        return {PARTS: parts, **main} if parts else main

    def check_parts(self, parts: Any) -> None:
        """Refuse a section of shared nodes that isn't a mapping, or that no node refers to."""
        if parts is not None and not isinstance(parts, dict):
            self.fault(PARTS, f"should be a mapping of names to nodes; got {parts!r}")
            return
        for name in parts or {}:
            if f"{PARTS}.{name}" not in self.shared:
                self.fault(
                    f"{PARTS}.{name}", f'nothing refers to it; write "@{name}" where it is meant'
                )

    @property
    def network_names(self) -> tuple[str, ...]:
        """The names of the networks, as the config has them."""
        given = self.source.tree.get("networks")
        return tuple(map(str, given)) if isinstance(given, dict) else ()

    def check_slots(
        self, losses: tuple[Node, ...], sampler: Node | None, chains: Node | None
    ) -> None:
        """Refuse a loss that needs samples in a config without a sampler and chains."""
        for node in losses:
            if not inspect.isclass(node.target) and not is_part(node.target):
                continue  # it builds the loss; the runner sees the slots of the built one
            try:
                slots = loss_slots(node.target, self.network_names)
            except TypeError as error:
                self.fault(f"{node.path}.type", f"{node.type} {error}")
                continue
            needs = {"x_neg": ("sampler", "chains"), "sampler": ("sampler",), "chains": ("chains",)}
            there = {"sampler": sampler, "chains": chains}
            for slot in sorted({s for s in slots if s in needs}):
                for section in needs[slot]:
                    if there[section] is None and self.source.tree.get(section) is None:
                        message = f"missing; loss {node.name!r} asks for {slot!r}, so it needs one"
                        self.fault(section, message)

    def check_followed(
        self,
        recorded: Recorded,
        train: Train | None,
        schedule: Node | None,
        callbacks: tuple[Node, ...],
    ) -> None:
        """Refuse keys that follow a metric which the run won't record."""
        wanted = {
            "train.keep_best": Wanted.parse(train.keep_best).name if train else "",
            "lr_scheduler.metric": schedule.options.get("metric") if schedule else None,
            **{f"{n.path}.{key}": name for n in callbacks for key, name in followed(n).items()},
        }
        for path, name in wanted.items():
            if name and (fault := recorded.fault(name)) is not None:
                self.fault(path, fault)


def _named_records(key: str, nodes: dict[str, Node]) -> dict[str, Any]:
    """Return a section of named nodes as plain values; nothing when there are none."""
    return {key: {name: node.record for name, node in nodes.items()}} if nodes else {}


def _tracking_record(given: Any, nodes: tuple[Node, ...]) -> Any:
    """Return `tracking` as plain values, in the form in which it was written."""
    records = [node.record for node in nodes]
    if is_section(given):
        return {key: value for key, value in records[0].items() if key != "type"}
    if isinstance(given, list):
        return records
    return records[0] if records else "off"
