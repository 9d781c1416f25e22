"""An experiment: the objects of a run, checked against each other before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ebmcore.config import ENERGY, OWN, Cadence, Train, read_loader, read_train
from ebmcore.contracts import Chains
from ebmcore.data.load import Data, load_data
from ebmcore.data.streamed import stream_data
from ebmcore.data.transformed import transform_data
from ebmcore.data.transforms import TransformError, Transforms
from ebmcore.distributed.comm import Ranks, joined
from ebmcore.errors import ConfigError, DataError, Problem
from ebmcore.runner.checks.fit import check_fit
from ebmcore.runner.checks.networks import check_networks, choose_optimizers
from ebmcore.runner.checks.optimizers import check_state, make_optimizer, make_schedule
from ebmcore.runner.named_run import run_directory
from ebmcore.runner.run import Listener, Run
from ebmcore.runner.run_record import changed_data
from ebmcore.runner.spec import Origin, RunSpec
from ebmcore.runner.worker import execute
from ebmcore.runs.directory import RunDirectory
from ebmcore.sampling import Sampler, StepSize, as_chains, as_kernel, set_precision
from ebmcore.spaces import Space
from ebmcore.trackers.entry import Trackers, TrackingArgument, as_trackers
from ebmcore.train.components import CallbackEntry, LossTerm, MonitorEntry, Parts, name_of
from ebmcore.train.device import Placement
from ebmcore.train.optim import without_compiler
from ebmcore.train.rng import Streams
from ebmcore.train.step import TrainStep
from ebmcore.train.targets import find_targets, groups_of


class Experiment:
    """The objects of a run.

    Args:
        data: A tensor (n, *event), a pair (x, y), a torch Dataset, or a callable that returns one.
        transforms: `Transform`s of the data, or functions of x, in order: fitted on the training
            rows, kept with the model, and undone in its samples.
        energy: An nn.Module, (batch, *event) -> (batch,).
        loss: A loss, or a list of losses and of pairs (loss, weight).
        networks: Modules beside the energy, by name; a loss names one by a parameter, and says by
            its attribute `trains` what it trains.
        sampler: A `Kernel`, or a function `(energy, x, generator) -> x`; for losses of samples.
        chains: A `Chains`, or a function `(x, generator) -> x`; for losses of samples.
        optimizer: An optimiser, or a function that makes one of parameters; by default Adam.
        optimizers: The same for networks, by name; by default each gets what `optimizer` makes.
        lr_scheduler: A schedule of the energy's optimiser, or a function that makes one of it.
        lr_interval: What one step of the schedule is, `epoch` or `step`.
        lr_metric: The metric that a schedule such as ReduceLROnPlateau follows; it takes a step
            whenever the metric is recorded.
        monitors: Monitors, or pairs of a monitor and its cadence, or `auto`.
        callbacks: Objects with methods of a `Callback`.
        n_steps: The sampler's steps in a training step.
        holdout: The share of the points that is set aside.
        stratify: Whether to set aside that share of the points of each label.
        loader: `{"workers": 2, "prefetch": 2}` reads the rows of each batch when it is needed, of a
            torch Dataset of any size; by default all rows are read into memory.
        space: The set that events live in; by default the `space` of the data, or else `Real()`.
        name: The run directory's name begins with it.
        seed: Every random stream of the run is derived from it.
        device: `auto` is an accelerator if there is one.
        dtype: Of weights and data; by default that of the energy's parameters.
        compile: Whether training steps are compiled, which takes 10 to 60 s and makes each quicker;
            `auto` does where that clearly pays.
        compile_seconds: Time for compiling; parts that take longer stay eager.
        threads: Of the processor, for the run; `auto` is 1 for small energies.

    Raises ConfigError when the parts don't fit each other.
    """

    def __init__(
        self,
        *,
        data: Any,
        energy: nn.Module,
        loss: Any,
        transforms: Sequence[Any] = (),
        networks: Mapping[str, nn.Module] | None = None,
        sampler: Any = None,
        chains: Chains | Callable[..., Tensor] | None = None,
        optimizer: Callable[..., Optimizer] | Optimizer | None = None,
        optimizers: Mapping[str, Callable[..., Optimizer] | Optimizer] | None = None,
        lr_scheduler: Any = None,
        lr_interval: str = "epoch",
        lr_metric: str | None = None,
        monitors: Sequence[Any] = (),
        callbacks: Sequence[Any] = (),
        n_steps: int = 10,
        holdout: float = 0.1,
        stratify: bool = False,
        loader: Mapping[str, Any] | None = None,
        space: Space | None = None,
        name: str = "experiment",
        seed: int = 0,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        compile: bool | Literal["auto"] = "auto",  # noqa: A002 (torch's own word for it)
        compile_seconds: float = 300.0,
        threads: int | Literal["auto"] = "auto",
        origin: Origin | None = None,
    ) -> None:
        self.optimizer = optimizer or partial(torch.optim.Adam, lr=1e-3)
        self.optimizers = dict(optimizers or {})
        self.origin = origin or Origin(given={
            "device": str(device), "holdout": holdout, "stratify": stratify, "loader": loader,
            "space": space and space.written(), "optimizer": self.optimizer,
            "optimizers": self.optimizers, "lr_scheduler": lr_scheduler,
        })  # fmt: skip
        self.name = name
        self.seed = seed
        placement = self.origin.placement or Placement.choose(device, seed)
        self.rank_info, self.device, self.streams = placement
        if not isinstance(energy, nn.Module):
            self._refuse("energy", f"should be an nn.Module, to be trained; got {energy!r:.80}")
        if dtype is None:
            parameter = next(energy.parameters(), None)
            dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        if not isinstance(data, Data):
            split = {"holdout": holdout, "stratify": stratify}
            data = self._load(data, loader, **split, dtype=dtype, space=space)
            data = self._transform(data, transforms, dtype)
        self.data = data.to(self.device)
        self.energy = energy.to(self.device, dtype)
        self.networks = check_networks(networks or {}, self._refuse)
        for network in self.networks.values():
            network.to(self.device, dtype)
        self.sampler = None if sampler is None else self._sampler(sampler, n_steps)
        self.chains = None if chains is None else self._chains(chains)
        self.losses = self._losses(loss, dtype)
        self.monitors = self._monitors(monitors)
        self.callbacks = self._callbacks(callbacks)
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
        self.lr_metric = lr_metric
        self.compile = compile
        self.compile_seconds = compile_seconds
        self.threads = threads
        self.has_run = False
        self.warnings: list[str] = [*data.warnings]  # what the run is to begin with
        self.listener: Listener | None = None

    def run(
        self,
        *,
        tracking: TrackingArgument = None,
        runs_dir: str | Path | None = None,
        progress: bool = True,
        profile: bool = False,
        **train: Any,
    ) -> Run:
        """Train, and return the run.

        Takes the keys of a config's `train` section (epochs or steps, batch_size, clip_grad_norm,
        ema, data_noise, log_every); `tracking` is a `Tracker`, a list of them, or "off" in
        place of MLflow; `profile` writes a torch profiler trace of some steps to the run's
        profile.json. Raises ConfigError before anything is written, RunError when the run FAILED,
        RunInterrupted after a signal.
        """
        sections = read_train(train), as_trackers(tracking)
        with joined(self.rank_info) as ranks:
            return self.run_with(
                *sections, ranks, runs_dir=runs_dir, progress=progress, profile=profile
            )

    def run_with(
        self,
        train: Train,
        tracking: Trackers,
        ranks: Ranks,
        *,
        resumed: RunDirectory | None = None,
        runs_dir: str | Path | None = None,
        progress: bool = True,
        profile: bool = False,
    ) -> Run:
        """Train as `run`, or `resume`, does, with validated sections, on ranks that have joined."""
        with without_compiler():
            with ranks.share_errors():
                if resumed is not None:
                    self.warnings += changed_data(resumed, self.data)
                spec = self._spec(train, tracking, profile=profile)
            directory = resumed or self._directory(ranks, runs_dir)
            return execute(spec, directory, ranks, progress=progress, resumes=resumed is not None)

    def resume(
        self,
        run_dir: str | Path,
        *,
        tracking: TrackingArgument = None,
        progress: bool = True,
        **train: Any,
    ) -> Run:
        """Resume a run of such an experiment from its last whole checkpoint.

        Made again of the same parts, with the same seed and by default the recorded `train` keys,
        it ends with the same weights, chains and metrics, bit for bit, as if it had not been
        stopped. Raises EbmError when it is no run, or another process's, or made of other parts.
        """
        with joined(self.rank_info) as ranks:
            with ranks.share_errors():
                directory = RunDirectory.open(run_directory(run_dir))
                section = read_train(train or directory.read_config()["train"])
            to = as_trackers(tracking)
            return self.run_with(section, to, ranks, resumed=directory, progress=progress)

    def _directory(self, ranks: Ranks, runs_dir: str | Path | None) -> RunDirectory:
        """Make the run directory on rank 0; on the other ranks, receive its path from rank 0."""
        made = RunDirectory.create(self.name, runs_dir) if ranks.rank == 0 else None
        path = ranks.broadcast_text("" if made is None else str(made.path.absolute()))
        return made or RunDirectory(Path(path))

    def _spec(self, train: Train, tracking: Trackers, *, profile: bool = False) -> RunSpec:
        """Assemble and check the parts, once. Raises ConfigError when they can't be trained."""
        if self.has_run:
            # its streams, chains and weights stand where that run left them: not what was recorded
            self._refuse("", "this experiment has run; make another one of the same parts")
        if self.device.type == "meta":
            self._refuse("device", "nothing can be trained on the meta device; use --dry-run")
        parts = self.assemble()
        self.check(parts, train)
        self.has_run = True
        return RunSpec(
            name=self.name, seed=self.seed, parts=parts, train=train, tracking=tracking,
            streams=self.streams, compile=self.compile, compile_seconds=self.compile_seconds,
            threads=self.threads, profile=profile, origin=self.origin,
            warnings=tuple(self.warnings), listener=self.listener,
        )  # fmt: skip

    def dry_run(self, train: Train) -> dict[str, Any]:
        """Take one training step and return the sizes of everything; meant for the meta device.

        Raises ConfigError when the parts don't fit.
        """
        parts = self.assemble()
        self.check(parts, train)
        x = parts.data.x[: train.batch_size]
        conditions = parts.data.conditions.rows(slice(train.batch_size))
        try:
            TrainStep(parts, train, self.streams, None)(x, conditions, 0)
        except Exception as error:
            message = f"a training step on the {self.device} device failed: {error}"
            raise ConfigError([Problem("", message, self.origin.where(""))]) from error
        n, per_epoch = parts.data.n, parts.data.n // train.batch_size
        return {
            "event_shape": list(parts.data.event_shape),
            "points": n, "held_out": parts.data.n_held_out,
            "parameters": sum(p.numel() for p in parts.parameters),
            "steps": train.total_steps(n), "steps_per_epoch": per_epoch,
        }  # fmt: skip

    def assemble(self) -> Parts:
        """Assemble the parts, with the optimisers of the energy and of each network."""
        groups = groups_of(find_targets(self.energy, self.networks, self.losses))
        if not groups[ENERGY]:
            self._refuse("energy", "has no parameters to train")
        optimizer = make_optimizer(self.optimizer, groups[ENERGY], "optimizer", self._refuse)
        of_networks = choose_optimizers(
            self.optimizer, self.optimizers, self.networks, groups, self._refuse
        )
        schedule = make_schedule(
            self.lr_scheduler, optimizer, self.lr_interval, self.lr_metric, self._refuse
        )
        kernel = self.sampler and self.sampler.kernel
        if isinstance(size := getattr(kernel, "step_size", None), StepSize):
            try:
                size.start(kernel, self.data.x, self.device)
            except ValueError as error:
                self._refuse("sampler", str(error))
        return Parts(
            data=self.data,
            energy=self.energy,
            losses=self.losses,
            optimizer=optimizer,
            lr_scheduler=schedule,
            device=self.device,
            sampler=self.sampler,
            chains=self.chains,
            lr_interval=self.lr_interval,
            lr_metric=self.lr_metric,
            monitors=self.monitors,
            callbacks=self.callbacks,
            labels=dict(self.origin.labels),
            networks=self.networks,
            optimizers={
                name: make_optimizer(one, groups[name], path, self._refuse)
                for name, path, one in of_networks
            },
        )

    def check(self, parts: Parts, train: Train) -> None:
        """Raise ConfigError when the data, the batch, the energy and the chains don't fit."""
        self.warnings.extend(set_precision(parts.energy, train.precision, self.device))
        probe = Streams(self.seed, self.device)("probe")
        self.warnings.extend(check_fit(parts, train, self.rank_info, probe, self._refuse))
        self.warnings.extend(
            check_state(self.optimizer, self.optimizers, self.lr_scheduler, parts, self._refuse)
        )

    def _load(self, data: Any, loader: Mapping[str, Any] | None, **options: Any) -> Data:
        read: Callable[..., Data] = load_data
        if loader is not None:
            read = partial(stream_data, loader=read_loader(dict(loader), "loader"), seed=self.seed)
        try:
            return read(data, generator=self.streams("split", on_cpu=True), **options)
        except DataError as error:
            self._refuse("data", str(error), error)

    def _transform(self, data: Data, transforms: Sequence[Any], dtype: torch.dtype) -> Data:
        if not transforms:
            return data
        try:
            made = Transforms(transforms, dtype=dtype)
            generator = self.streams("transform data", on_cpu=True)
            return transform_data(data, made, generator, overwrite=True)
        except TransformError as error:
            self._refuse("transforms", f"{made.names[error.index]}: {error}", error)
        except TypeError as error:
            self._refuse("transforms", str(error), error)

    def _sampler(self, sampler: Any, n_steps: int) -> Sampler:
        if n_steps < 1:
            self._refuse("sampler.n_steps", f"should be at least 1; got {n_steps}")
        try:
            return Sampler(as_kernel(sampler), n_steps)
        except TypeError as error:
            self._refuse("sampler", str(error), error)

    def _chains(self, chains: Any) -> Chains:
        try:
            return as_chains(chains)
        except TypeError as error:
            self._refuse("chains", str(error), error)

    def _losses(self, loss: Any, dtype: torch.dtype) -> tuple[LossTerm, ...]:
        entries = loss if isinstance(loss, list) else [loss]
        if not entries:
            self._refuse("loss", "is empty; a run needs at least one loss")
        terms: list[LossTerm] = []
        for entry in entries:
            if isinstance(entry, LossTerm):
                term = entry
            else:
                function, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
                name = name_of(function, [term.name for term in terms])
                if isinstance(function, type) or not callable(function):
                    self._refuse("loss", f"should be a built loss or a function; got {function!r}")
                try:
                    label = f"loss {name!r}"
                    term = LossTerm.of(name, function, weight, label, networks=self.networks)
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
        entries: list[MonitorEntry] = []
        for monitor in monitors:
            if isinstance(monitor, MonitorEntry):
                entries.append(monitor)
                continue
            function, every = monitor if isinstance(monitor, tuple) else (monitor, None)
            name = name_of(function, [entry.name for entry in entries])
            try:
                own = getattr(function, "every", OWN)
                cadence = Cadence.of_monitor(every or own, own)
            except (ValueError, TypeError) as error:
                self._refuse("monitors", f"{name}: {error}", error)
            entries.append(MonitorEntry(name, function, cadence, f"monitor {name!r}"))
        return tuple(entries)

    def _callbacks(self, callbacks: Sequence[Any]) -> tuple[CallbackEntry, ...]:
        entries: list[CallbackEntry] = []
        for callback in callbacks:
            if isinstance(callback, CallbackEntry):
                entries.append(callback)
                continue
            name = name_of(callback, [entry.name for entry in entries])
            try:
                entries.append(CallbackEntry.of(name, callback, f"callback {name!r}"))
            except TypeError as error:
                self._refuse("callbacks", f"{name} {error}", error)
        return tuple(entries)

    def _refuse(self, path: str, message: str, cause: Exception | None = None) -> NoReturn:
        raise ConfigError([Problem(path, message, self.origin.where(path))]) from cause
