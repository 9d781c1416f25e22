"""An experiment: the objects of a run, held against each other before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn
from torch.optim import Optimizer

from ebmcore.config import Cadence, Tracking, Train
from ebmcore.contracts import Chains
from ebmcore.errors import ConfigError, DataError, Problem
from ebmcore.plugins import Host
from ebmcore.runner.data import Data, load_data
from ebmcore.runner.parts import LossTerm, MonitorEntry, Parts
from ebmcore.runner.result import Run
from ebmcore.runner.step import TrainStep
from ebmcore.runner.streams import Streams
from ebmcore.sampling import Sampler, as_kernel, check_energies, evaluating


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an experiment was written: what to record of it, and how to speak of its parts."""

    record: Mapping[str, Any] | None = None  # the resolved config; None when made of objects
    host: Host | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()  # local plugin files
    where: Callable[[str], str] = lambda path: ""


class Experiment:
    """The objects of a run.

    Args:
        data: A tensor (n, *event), a pair (x, y), a torch Dataset, or a callable that returns one.
        energy: An nn.Module, (batch, *event) -> (batch,).
        loss: A loss, or a list of losses and of pairs (loss, weight).
        sampler: A `Kernel`, or a function `(energy, x, generator) -> x`; for losses of samples.
        chains: Where chains begin; for losses of samples.
        optimizer: An optimiser, or a function that makes one of parameters; by default Adam.
        lr_scheduler: A function that makes a schedule of the optimiser.
        lr_interval: What one step of the schedule is, `epoch` or `step`.
        monitors: Monitors, or pairs of a monitor and its cadence.
        n_steps: The sampler's steps in a training step.
        holdout: The share of the points that is set aside.
        name: The run directory's name begins with it.
        seed: Every random stream of the run is derived from it.
        device: `auto` is an accelerator if there is one.
        dtype: Of weights and data; by default that of the energy's parameters.

    Raises ConfigError when the parts don't fit each other.
    """

    def __init__(
        self,
        *,
        data: Any,
        energy: nn.Module,
        loss: Any,
        sampler: Any = None,
        chains: Chains | None = None,
        optimizer: Callable[..., Optimizer] | Optimizer | None = None,
        lr_scheduler: Callable[..., Any] | None = None,
        lr_interval: str = "epoch",
        monitors: Sequence[Any] = (),
        n_steps: int = 10,
        holdout: float = 0.1,
        name: str = "experiment",
        seed: int = 0,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.origin = origin or Origin()
        self.name = name
        self.seed = seed
        self.device = choose_device(device)
        self.streams = Streams(seed, self.device)
        if not isinstance(energy, nn.Module):
            self._refuse("energy", f"should be an nn.Module, to be trained; got {energy!r:.80}")
        if dtype is None:
            parameter = next(energy.parameters(), None)
            dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        if not isinstance(data, Data):
            data = self._load(data, holdout, dtype)
        self.data = data.to(self.device)
        self.energy = energy.to(self.device, dtype)
        self.sampler = None if sampler is None else Sampler(as_kernel(sampler), n_steps)
        self.chains = chains
        self.losses = self._losses(loss, dtype)
        self.monitors = self._monitors(monitors)
        self.optimizer = optimizer or partial(torch.optim.Adam, lr=1e-3)
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval

    def run(
        self,
        *,
        tracking: Tracking | str | None = None,
        runs_dir: str | Path | None = None,
        progress: bool = True,
        **train: Any,
    ) -> Run:
        """Train, and return the run.

        Takes the keys of a config's `train` section (epochs or steps, batch_size, clip_grad_norm,
        ema, data_noise, log_every); `tracking="off"` leaves MLflow out. Raises ConfigError before
        anything is written, RunError when the run FAILED, RunInterrupted after a signal.
        """
        from ebmcore.runner.loop import Loop

        try:
            options = Train(**train)
        except (TypeError, ValueError) as error:
            raise ConfigError([Problem("train", str(error))]) from error
        if tracking == "off":
            target = None
        else:
            target = tracking if isinstance(tracking, Tracking) else Tracking(uri=tracking)
        parts = self.assemble()
        self.check(parts, options)
        return Loop(self, parts, options, target, runs_dir, show=progress).run()

    def dry_run(self, train: Train) -> dict[str, Any]:
        """Do one training step and say how large everything is; meant for the meta device.

        Raises ConfigError when the parts don't fit.
        """
        parts = self.assemble()
        self.check(parts, train)
        x = parts.data.x[: train.batch_size]
        y = None if parts.data.y is None else parts.data.y[: train.batch_size]
        try:
            TrainStep(parts, train, self.streams, None)(x, y, 0)
        except Exception as error:
            message = f"a training step on the {self.device} device failed: {error}"
            raise ConfigError([Problem("", message, self.origin.where(""))]) from error
        n, per_epoch = len(parts.data.x), len(parts.data.x) // train.batch_size
        return {
            "event_shape": list(parts.data.event_shape),
            "points": n,
            "held_out": len(parts.data.held_out),
            "parameters": sum(p.numel() for p in parts.parameters),
            "steps": train.steps or (train.epochs or 0) * per_epoch,
            "steps_per_epoch": per_epoch,
        }

    def assemble(self) -> Parts:
        """Put the parts together with an optimiser over all their parameters."""
        parts = Parts(
            data=self.data,
            energy=self.energy,
            losses=self.losses,
            optimizer=None,  # type: ignore[arg-type] # it needs the parts' parameters first
            device=self.device,
            sampler=self.sampler,
            chains=self.chains,
            lr_interval=self.lr_interval,
            monitors=self.monitors,
            labels=dict(self.origin.labels),
        )
        if not parts.parameters:
            self._refuse("energy", "has no parameters to train")
        parts.optimizer = self._make("optimizer", self.optimizer, parts.parameters)
        if self.lr_scheduler is not None:
            parts.lr_scheduler = self._make("lr_scheduler", self.lr_scheduler, parts.optimizer)
        return parts

    def check(self, parts: Parts, train: Train) -> None:
        """Raise ConfigError when the data, the batch, the energy and the chains don't fit."""
        data = parts.data
        if train.batch_size > len(data.x):
            message = f"should be at most the {len(data.x)} training points; got {train.batch_size}"
            self._refuse("train.batch_size", message)
        try:
            with torch.no_grad(), evaluating(parts.energy):
                check_energies(parts.energy(data.x[:2]), data.x[:2])
        except Exception as error:
            label = parts.label("energy")
            shape = tuple(data.event_shape)
            self._refuse("energy", f"{label} doesn't take events of shape {shape}: {error}", error)
        if parts.needs_samples:
            assert parts.chains is not None
            probe = Streams(self.seed, self.device)("probe")
            try:
                copy.deepcopy(parts.chains).start(data.x[: train.batch_size], probe)
            except ValueError as error:
                self._refuse("chains", f"{parts.label('chains')}: {error}", error)
        for entry in parts.monitors:
            try:
                getattr(entry.function, "check", lambda shape: None)(data.event_shape)
            except ValueError as error:
                self._refuse("monitors", f"{entry.label}: {error}", error)

    def _load(self, data: Any, holdout: float, dtype: torch.dtype) -> Data:
        generator = self.streams("split", on_cpu=True)
        try:
            return load_data(data, holdout=holdout, generator=generator, dtype=dtype)
        except DataError as error:
            self._refuse("data", str(error), error)

    def _losses(self, loss: Any, dtype: torch.dtype) -> tuple[LossTerm, ...]:
        entries = loss if isinstance(loss, (list, tuple)) else [loss]
        terms = []
        for entry in entries:
            if isinstance(entry, LossTerm):
                term = entry
            else:
                function, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
                name = _name(function)
                try:
                    term = LossTerm.of(name, function, weight, f"loss {name!r}")
                except TypeError as error:
                    self._refuse("loss", f"{name} {error}", error)
            if isinstance(term.function, nn.Module):
                term.function.to(self.device, dtype)
            for slot, given in (("sampler", self.sampler), ("chains", self.chains)):
                if given is None and ("x_neg" in term.slots or slot in term.slots):
                    self._refuse(slot, f"missing; loss {term.name!r} asks for samples of the model")
            terms.append(term)
        return tuple(terms)

    def _monitors(self, monitors: Sequence[Any]) -> tuple[MonitorEntry, ...]:
        entries = []
        for monitor in monitors:
            if isinstance(monitor, MonitorEntry):
                entries.append(monitor)
                continue
            function, every = monitor if isinstance(monitor, tuple) else (monitor, None)
            name = _name(function)
            cadence = Cadence.parse(every or getattr(function, "every", "1 epoch"))
            entries.append(MonitorEntry(name, function, cadence, f"monitor {name!r}"))
        return tuple(entries)

    def _make(self, path: str, factory: Any, of: Any) -> Any:
        if isinstance(factory, Optimizer):
            known = {id(p) for group in factory.param_groups for p in group["params"]}
            rest = [p for p in of if id(p) not in known]
            if rest:
                factory.add_param_group({"params": rest})
            return factory
        try:
            return factory(of)
        except (ValueError, TypeError) as error:
            self._refuse(path, str(error), error)

    def _refuse(self, path: str, message: str, cause: Exception | None = None) -> NoReturn:
        raise ConfigError([Problem(path, message, self.origin.where(path))]) from cause


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device that a name means. Raises ConfigError when it isn't there."""
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError([Problem("device", f"{device!r} can't be used: {first}")]) from error
    return chosen


def _name(function: Any) -> str:
    function = getattr(function, "func", function)
    name: str = getattr(function, "__name__", type(function).__name__)
    return name
