"""The runner's doors from Python: a config to a run, and a run directory to what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from ebmcore.config import (
    Config,
    Source,
    apply_overrides,
    build,
    plugin_selection,
    read_config,
    read_node,
    validate,
)
from ebmcore.errors import ConfigError, EbmError, PluginError, Problem
from ebmcore.plugins import Host, Selection
from ebmcore.runner.checkpoint import Checkpoint
from ebmcore.runner.compose import Slots, compose, make_energy
from ebmcore.runner.experiment import choose_device
from ebmcore.runner.result import Run
from ebmcore.runner.streams import Streams
from ebmcore.sampling import Sampler, as_chains, as_kernel
from ebmcore.tracking import changes_since


class Prepared(NamedTuple):
    """A config held against its plugins, and ready to be composed."""

    config: Config
    host: Host
    source: Source


def prepare(
    config: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    *,
    strict_plugins: bool = False,
) -> Prepared:
    """Read, override, load the plugins and validate. Raises ConfigError or PluginError."""
    source = apply_overrides(read_config(config), overrides or {})
    if source.name:
        source.tree.setdefault("name", Path(source.name).stem.replace("_", "-"))
    selection = plugin_selection(source).merged(Selection.from_options(plugins))
    host = Host.discover(selection)
    host.check(selection, strict=strict_plugins)
    validated = validate(source, host, selection)
    for call in host.hooks.hook.ebmcore_configure.get_hookimpls():
        try:
            call.function(**dict.fromkeys(call.argnames, validated.record))
        except ValueError as error:
            message = f"refused by plugin {call.plugin_name!r}: {error}"
            raise ConfigError([Problem("", message, source.name)]) from error
        except Exception as error:
            message = f"plugin {call.plugin_name!r} raised in ebmcore_configure: {error!r}"
            raise PluginError(message) from error
    return Prepared(validated, host, source)


def run(
    config: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    progress: bool = True,
    strict_plugins: bool = False,
    versions: Literal["warn", "refuse", "ignore"] = "warn",
) -> Run:
    """Train what a config says, and return the run.

    Args:
        config: A file, or the same as a mapping.
        overrides: Dotted keys and values over it: `{"train.epochs": 5}`.
        plugins: Names, `no:NAME` or local files, as `ebmcore run -p` takes them.
        runs_dir: Where the run directory goes; by default EBMCORE_RUNS_DIR, else ./runs.
        progress: Whether to show how far the run is, on standard error.
        strict_plugins: Whether any plugin that failed to load is an error.
        versions: What to do when the config is a recorded one, `RUN_DIR/config.yaml`, and the
            versions or the content of its plugins differ from today's.

    One run at a time in a process: torch's global generators, which a run borrows and gives back,
    belong to the whole process. Raises ConfigError or PluginError before anything is written,
    RunError when the run FAILED, RunInterrupted after a signal.
    """
    prepared = prepare(config, overrides, plugins, strict_plugins=strict_plugins)
    changed = [] if versions == "ignore" else changes_since(prepared.source.name, prepared.host)
    if changed and versions == "refuse":
        raise ConfigError([Problem("", text, prepared.source.name) for text in changed])
    experiment = compose(*prepared)
    experiment.warnings.extend(changed)
    train = {key: getattr(prepared.config.train, key) for key in prepared.config.record["train"]}
    tracking = prepared.config.tracking
    return experiment.run(
        tracking="off" if tracking is None else tracking,
        runs_dir=runs_dir,
        progress=progress,
        **train,
    )


def load(
    run_dir: str | Path,
    *,
    plugins: Sequence[str] = (),
    energy: nn.Module | None = None,
    device: str = "auto",
) -> Run:
    """Open a finished run: its energy with the trained weights, its sampler and chains.

    Local plugin files that the run was made with are code; they are only imported when they are
    named in `plugins`. An experiment that was made of objects needs its `energy` handed over.
    Raises EbmError when the directory is no run or its checkpoint is not whole.
    """
    folder = Path(run_dir)
    try:
        facts = json.loads((folder / "run.json").read_text())
        seed, status, from_config = (facts[key] for key in ("seed", "status", "from_config"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EbmError(f"{folder}: no run directory (no readable run.json)") from error
    checkpoint = Checkpoint.last(folder / "checkpoints")
    place = choose_device(device)
    try:
        bounds = checkpoint.tensors("data")["bounds"].to(place)
    except KeyError as error:
        raise EbmError(f"{checkpoint.path}: lacks the data's range") from error
    slots = {"event_shape": checkpoint.event_shape, "data_range": bounds, "device": place}
    streams = Streams(seed, place)
    sampler, chains = None, None
    if energy is None:
        if not from_config:
            raise EbmError(f"{folder}: made of objects; load it with energy=… of the same shape")
        source = read_config(folder / "config.yaml")
        host = _host(source, plugins)
        energy = make_energy(_node(source, host, "energy"), streams, place, slots)
        if source.tree.get("sampler") and source.tree.get("chains"):
            node = _node(source, host, "sampler")
            kernel = as_kernel(build(node, Slots(streams, "build sampler", **slots)))
            sampler = Sampler(kernel, node.options["n_steps"])
            slots_of_chains = Slots(streams, "build chains", **slots)
            chains = as_chains(build(_node(source, host, "chains"), slots_of_chains))
            chains.load_state_dict(_on(checkpoint.chains(), place))
    try:
        energy.load_state_dict(checkpoint.averaged_or_weights())
    except RuntimeError as error:
        raise EbmError(f"{folder}: the weights don't fit the energy: {error}") from error
    energy = energy.to(place, bounds.dtype).eval()
    run = Run(folder, energy, bounds=bounds, sampler=sampler, chains=chains, seed=seed)
    run.status = status
    run.step = checkpoint.step
    run.metrics = {name: float(value) for name, value in facts.get("metrics", {}).items()}
    run.warnings = facts.get("warnings", [])
    run.mlflow = facts.get("mlflow") or {}
    return run


def _host(source: Source, plugins: Sequence[str]) -> Host:
    """Load the plugins of a recorded config, but no local file that the user didn't name."""
    recorded = plugin_selection(source)._replace(files=())
    selection = recorded.merged(Selection.from_options(plugins))
    host = Host.discover(selection)
    host.check(selection)
    return host


def _node(source: Source, host: Host, kind: str) -> Any:
    try:
        return read_node(source, host, kind)
    except ConfigError as error:
        files = (source.tree.get("plugins") or {}).get("files") or []
        if not files:
            raise
        hint = ", ".join(f"-p {source.folder / file}" for file in files)
        raise EbmError(
            f"{error}\nThe run used local plugin files. If you trust them, add {hint}"
        ) from error


def _on(state: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in state.items()}
