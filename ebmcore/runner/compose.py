"""Build an Experiment from a validated config: data first, then the parts that need its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ebmcore.config import OWN, Cadence, Config, Node, Source, maker
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, Problem
from ebmcore.plugins import Host
from ebmcore.runner.builder import Builder, load_dataset, provenance_of, rows_reader
from ebmcore.runner.checks.data_fit import refuse_misfits
from ebmcore.runner.experiment import Experiment
from ebmcore.runner.spec import Origin
from ebmcore.train.components import CallbackEntry, LossTerm, MonitorEntry
from ebmcore.train.device import Placement


def compose(
    config: Config,
    host: Host,
    source: Source,
    *,
    device: str | None = None,
    rank_info: RankInfo | None = None,
) -> Experiment:
    """Build every part of a config. Raises ConfigError or PluginError; nothing is written."""
    settings = config.settings
    try:
        placement = Placement.choose(device or settings.device, settings.seed, rank_info)
    except ConfigError as error:
        raise ConfigError(source.problem(p.path, p.message) for p in error.problems) from error
    dtype = getattr(torch, settings.dtype)
    _, place, streams = placement
    refuse_misfits(config.nodes, None, config.data, host)
    data = load_dataset(config.data, streams, dtype)
    refuse_misfits(config.nodes, data.space, config.data, host)
    slots = {
        "event_shape": data.event_shape,
        "data_range": data.bounds.to(place),
        "device": place,
        "space": data.space,
    }

    schedule = {} if config.lr_scheduler is None else config.lr_scheduler.options
    builder = Builder(streams, {**slots, "training_data": data.x})
    energy, make = builder.energy(config.energy), builder.part
    networks = {name: builder.network(name, node) for name, node in config.networks.items()}
    return Experiment(
        data=data,
        energy=energy,
        networks=networks,
        loss=[_term(node, make(node), networks) for node in config.losses],
        sampler=make(config.sampler),
        chains=make(config.chains),
        optimizer=maker(config.optimizer),
        optimizers={name: maker(node) for name, node in config.optimizers.items()},
        lr_scheduler=config.lr_scheduler and maker(config.lr_scheduler),
        lr_interval=schedule.get("interval", "epoch"),
        lr_metric=schedule.get("metric"),
        monitors=[monitor_entry(node, make(node)) for node in config.monitors],
        callbacks=[_callback_entry(node, make(node)) for node in config.callbacks],
        n_steps=config.sampler.options["n_steps"] if config.sampler else 1,
        name=settings.name,
        seed=settings.seed,
        dtype=dtype,
        compile=settings.compile,
        compile_seconds=settings.compile_seconds,
        threads=settings.threads,
        origin=Origin(
            record=config.record,
            host=host,
            labels={n.kind: n.label for n in config.nodes if "." not in n.path},
            files=config.record["plugins"]["files"],
            components=[provenance_of(node) for node in config.nodes],
            where=source.where,
            placement=placement,
            rows=rows_reader(config.data, settings.seed, dtype),
        ),
    )


def _term(node: Node, loss: Any, networks: Mapping[str, nn.Module]) -> LossTerm:
    weight, trains = node.options["weight"], node.options["trains"]
    try:
        return LossTerm.of(node.name, loss, weight, node.label, networks=networks, trains=trains)
    except TypeError as error:
        raise ConfigError([Problem(node.path, f"{node.type} {error}", node.where)]) from error


def monitor_entry(node: Node, monitor: Any) -> MonitorEntry:
    """Return a built monitor with its name and its cadence."""
    every = Cadence.of_monitor(node.options["every"], getattr(node.target, "every", OWN))
    return MonitorEntry(node.name, monitor, every, node.label)


def _callback_entry(node: Node, callback: Any) -> CallbackEntry:
    try:
        return CallbackEntry.of(node.name, callback, node.label)
    except TypeError as error:
        raise ConfigError([Problem(node.path, f"{node.type} {error}", node.where)]) from error
