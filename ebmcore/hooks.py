"""The hooks by which a plugin offers components. Read this, then `contracts.py`, then write one.

A plugin is an installed distribution with one entry point in the group `ebmcore.v1`,

    [project.entry-points."ebmcore.v1"]
    langevin = "ebmcore_langevin.plugin"

which names a light module with some of the functions below, each marked with `@hookimpl`. ebmcore
calls those of a run's events each alone, so that one that raises stops no other; hence it refuses
wrappers. Plugins with `@hookimpl(tryfirst=True)` come first, those with `trylast=True` last, others
by name. Those that offer return a mapping from a name to `"module:attribute"`; ebmcore imports the
attribute (a class or a function) when a config or the command line names it. A component's
signature is its config:

    from ebmcore import hookimpl

    @hookimpl
    def ebmcore_samplers():
        return {"langevin": "ebmcore_langevin.kernels:Langevin"}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from ebmcore.run_contracts import LiveRun

hookspec = pluggy.HookspecMarker("ebmcore")
hookimpl = pluggy.HookimplMarker("ebmcore")

Offers = Mapping[str, Any]  # name -> "module:attribute", or the object itself


@hookspec
def ebmcore_energies() -> Offers:
    """Offer energies: `{"mlp": "my_nets:MLP"}`; called with x (batch, *event), returns (batch,)."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_networks() -> Offers:
    """Offer modules to train beside the energy: `{"generator": "my_nets:Generator"}`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_samplers() -> Offers:
    """Offer samplers: `{"langevin": "my_kernels:Langevin"}`; each a `Kernel`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_chains() -> Offers:
    """Offer chains: `{"persistent": "my_chains:Persistent"}`; each a `Chains`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_losses() -> Offers:
    """Offer losses: `{"gap": "my_losses:gap"}`; each names the slots that it needs."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_monitors() -> Offers:
    """Offer monitors: `{"energies": "my_monitors:Energies"}`; called with a `RunView`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_callbacks() -> Offers:
    """Offer callbacks: `{"pause": "my_callbacks:Pause"}`; each has methods of a `Callback`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_datasets() -> Offers:
    """Offer datasets: `{"rings": "my_data:Rings"}`; called with nothing, returns the data."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_optimizers() -> Offers:
    """Offer optimizers: `{"Lion": "my_optim:Lion"}`; each made of the parameters to train."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_lr_schedulers() -> Offers:
    """Offer learning-rate schedules: `{"warmup": "my_optim:Warmup"}`; each made of an optimizer."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_transforms() -> Offers:
    """Offer transforms of data: `{"whiten": "my_maps:Whiten"}`; each a `Transform`."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_launchers() -> Offers:
    """Offer launchers: `{"cluster": "my_cluster:Cluster"}`; each a `Launcher` of command lines."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_trackers() -> Offers:
    """Offer trackers: `{"table": "my_table:Table"}`; each a `Tracker` of run directories."""
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_commands() -> Offers:
    """Offer commands: `{"report": "my_report:command"}`; each a typer app or a function.

    `"runs report"` joins the core's group `runs`. A function's parameters are the command's, as
    typer has them; it may return an `ebmcore.cli.Answer`.
    """
    raise NotImplementedError  # pragma: no cover


@hookspec
def ebmcore_configure(config: dict[str, Any]) -> None:
    """See the resolved config before anything is built: raise ValueError to refuse it.

    The config is read-only, down to its inner mappings and lists: a write raises TypeError. A
    `copy.deepcopy` of it is plain.
    """


@hookspec
def ebmcore_run_start(run: LiveRun) -> None:
    """A run directory exists and the first step is next."""


@hookspec
def ebmcore_checkpoint(run: LiveRun, path: Path) -> None:
    """A checkpoint was written at `path`."""


@hookspec
def ebmcore_run_error(run: LiveRun, error: BaseException) -> None:
    """The run is about to end as FAILED because of `error`."""


@hookspec
def ebmcore_run_end(run: LiveRun, status: str) -> None:
    """The run ended; `status` is FINISHED, FAILED or KILLED. Its trackers still take metrics."""


@hookspec
def ebmcore_run_closed(run: LiveRun) -> None:
    """The trackers let go of the run, whose ids are known; it takes no more metrics."""
