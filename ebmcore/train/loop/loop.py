"""The training loop: batches in, steps, metrics once an interval, monitors and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore.config import Train
from ebmcore.data.row_reader import ReadRows
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.gradient_sync import GradientSync
from ebmcore.distributed.rank import RankInfo
from ebmcore.train.components import Parts
from ebmcore.train.divergence import (
    Divergence,
    beyond_bound,
    beyond_gap,
    infinite_buffers,
    is_finite,
)
from ebmcore.train.ema import Average
from ebmcore.train.loop.batches import Batches
from ebmcore.train.loop.checkpoint_schedule import CheckpointSchedule
from ebmcore.train.loop.energies import energies_of
from ebmcore.train.loop.lr_schedule import LRSchedule
from ebmcore.train.loop.pending_metrics import PendingMetrics
from ebmcore.train.loop.recorder import Recorder
from ebmcore.train.loop.rows import Rows
from ebmcore.train.loop.skips import Skips
from ebmcore.train.loop.stability import Stability
from ebmcore.train.monitor_schedule import MonitorSchedule
from ebmcore.train.rng import Streams
from ebmcore.train.signals import Interrupts
from ebmcore.train.step import TrainStep
from ebmcore.train.timing import StepRate, Timing
from ebmcore.train.types import StepResult, gathered


class Loop:
    """Trains a set of parts, step by step, on one rank.

    Args:
        parts: The parts to train.
        train: The config's `train` section.
        streams: This rank's random streams.
        interrupts: The signals that end the run or request a checkpoint.
        step: Makes the training step.
        ranks: The ranks that train together; one alone by default.
    """

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        interrupts: Interrupts,
        step: Callable[..., TrainStep] = TrainStep,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks(RankInfo())
        self.parts = parts
        self.train = train
        self.streams = streams
        self.interrupts = interrupts
        self.timing = Timing()
        self.rows = Rows(parts.data, streams, self.ranks, self.timing)
        points = parts.data.x if parts.data.stream is None else parts.data.stream
        self.batches = Batches(points, train.batch_size, streams, self.ranks, whole=self.rows.draws)
        self.steps_per_epoch = self.batches.per_epoch
        self.steps = train.total_steps(parts.data.n)
        self.step = 0  # training steps done
        self.resumed_at = 0
        self.gap = 0.0  # mean E(data) - mean E(samples), nats, at the last fetch of the metrics
        self.chains = parts.chains  # after the run, the chains of all ranks
        self.averaged = None
        if train.ema is not None:
            self.averaged = Average(parts.energy, train.ema)
        self.rate = StepRate()
        self.checkpoints = CheckpointSchedule(train.checkpoint_every, self.steps_per_epoch)
        several = self.ranks.size > 1
        own = replace(train, clip_grad_norm=None) if several else train  # the average is clipped
        self.train_step = step(parts, own, streams, self.averaged, self.timing)
        if train.ema is not None:
            self.train_step.averaged_networks = {
                name: Average(network, train.ema) for name, network in parts.networks.items()
            }
        if several:
            self.train_step.gradient_sync = self._gradient_sync()
        self.pending = PendingMetrics(parts, self.ranks)
        self.skips = Skips(
            parts, train, self.ranks, self.pending, with_chains=self.train_step.keeps_chains_early
        )
        self.stability = Stability(parts, train, streams, self.ranks)
        self.lr_schedule = LRSchedule(parts, self.ranks, self.steps_per_epoch)
        self.after_step: Callable[[], None] | None = None  # a profiler's callback
        self.infinite_buffers = infinite_buffers(parts.energy)
        self._records = False  # whether this step's metrics are recorded, the same on every rank
        self.save_reason = ""  # why a checkpoint is requested before it is due

    @property
    def energy(self) -> nn.Module:
        """The energy with the averaged weights, when an average is kept."""
        return self.parts.energy if self.averaged is None else self.averaged.module

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks with their averaged weights, when an average is kept."""
        averaged = {k: a.module for k, a in self.train_step.averaged_networks.items()}
        return {**self.parts.networks, **averaged}

    def settle_averages(self) -> None:
        """Make the averaged weights ready for use."""
        for average in (self.averaged, *self.train_step.averaged_networks.values()):
            if isinstance(average, Average):
                average.settle()

    def eval(self) -> None:
        """Set the energy and the networks to evaluation mode, at the end of a run."""
        self.settle_averages()
        for module in (self.energy, *self.networks.values(), *self.parts.networks.values()):
            module.eval()

    def _gradient_sync(self) -> GradientSync:
        return GradientSync(
            self.ranks,
            self.parts.parameters,
            self.parts.buffers,
            bound=self.train.clip_grad_norm,
            interrupts=self.interrupts,
            groups=self.train_step.norms,
            checkpoint_is_late=self.checkpoints.is_late,
            flags_on_cpu=self.parts.device.type != "cpu",
        )

    @property
    def epoch(self) -> float:
        """Passes over the data done."""
        return self.step / self.steps_per_epoch

    @property
    def done(self) -> bool:
        """Whether the last step is done, or all ranks know that a callback stopped the run."""
        return self.step >= self.steps or bool(self.interrupts.stopped)

    def run(self, monitors: MonitorSchedule, recorder: Recorder) -> None:
        """Train to the last step or a signal, and save the last checkpoint."""
        try:
            self._run(monitors, recorder)
        finally:
            self.rows.close()

    def _run(self, monitors: MonitorSchedule, recorder: Recorder) -> None:
        self.rate.start()
        self.checkpoints.restart_clock()
        if self.step == 0:
            self.stability.begin()
        rolls = "rollback" in (self.train.on_divergence, self.train.on_unstable)
        if rolls and self.step == 0 and self.steps:
            recorder.save("to roll back to")
        while not self.done and self.interrupts.number is None:
            indices = self.batches.rest_of_epoch(self.step)
            for batch in self.rows.read_ahead(indices, self.step):
                last = self._train_on(batch, recorder)
                self.step += 1
                self.lr_schedule.after_step(self.step)
                if self.after_step is not None:
                    self.after_step()
                if self.stability.after_step(last, self.step, recorder):
                    last = None  # it was rolled back
                end = self._takes_up_stop() or self.step >= self.steps
                if end or self.step - self.pending.fetched == self.train.log_every:
                    last = self._fetch_metrics(last, recorder)
                self._run_monitors(monitors, last, recorder, end=end)
                if not end and self._takes_up_stop(recorded=True):  # a metric was the reason
                    end = True
                    if self.pending.fetched != self.step:
                        last = self._fetch_metrics(last, recorder)
                    self._run_monitors(monitors, last, recorder, end=True, rest=True)
                if end or self.interrupts.number is not None:
                    break
                self._save_if_due(recorder)
        if self.step > self.resumed_at or self.step == 0:
            self._check_finite(recorder)
            recorder.save("the end" if self.done else self.interrupts.early or "a signal")
        _, self.chains = gathered(self.ranks, None, self.parts.chains)

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the order of the data, and the metrics that are not yet written."""
        return {
            "step": self.step,
            "epoch_start": self.batches.epoch_start(self.step),
            "fetched": self.pending.fetched,
            "waiting": self.pending.rows(),
            "finite": dict(self.pending.finite),
            "skipped": self.skips.total,
            "skipped_in_a_row": self.skips.in_a_row,
            "evaluations": self.train_step.evaluations.state_dict(),
            **self.stability.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.step = self.resumed_at = int(state["step"])
        self.batches.restore(state["epoch_start"])
        self.pending.fetched = int(state["fetched"])
        self.pending.restore(state["waiting"], self.parts.device)
        self.pending.finite = dict(state["finite"])
        self.skips.total = int(state["skipped"])
        self.skips.in_a_row = int(state["skipped_in_a_row"])
        self.stability.load_state_dict(state)
        if "evaluations" in state:
            self.train_step.evaluations.load_state_dict(state["evaluations"])

    def discard_pending(self) -> None:
        """Drop the metrics of steps that a rollback undid."""
        self.pending.clear()
        self.skips.in_a_row = 0
        self.gap = 0.0

    def _train_on(self, batch: Tensor | ReadRows, recorder: Recorder) -> StepResult | None:
        """Take one step; return None when it was skipped."""
        with self.timing("data"):
            x, conditions = self.rows(batch, self.step)
        self.skips.before_step()
        proposal = self.train_step.compute(x, conditions, self.step)
        if self.skips.drops(proposal, self.step + 1, recorder):
            return None
        self.train_step.apply(proposal, self.step)
        self.pending.add(self.step + 1, proposal.metrics)
        return proposal

    def _fetch_metrics(self, last: StepResult | None, recorder: Recorder) -> StepResult | None:
        """Copy the interval's metrics to the host and record them, if all of them are finite.

        Returns the last step, or None when the run diverged and monitors have nothing to show.
        """
        rate = self.rate.per_second(self.step - self.pending.fetched)
        self.pending.fetched = self.step
        with self.timing("metrics to the host"):
            columns = self.pending.columns()
        divergence = self.pending.divergence_in(columns)
        if divergence is not None:
            recorder.diverged(divergence)
            self.rate.start()
            return None
        self.pending.clear()
        metrics = {name: sum(values) / len(values) for name, values in columns.items()}
        metrics.pop("samples", None)  # their sum, which is fetched for the check alone
        metrics |= self._state_metrics(rate)
        gap = None
        if last is not None and (last.x_neg is not None or self.train.max_energy is not None):
            means, largest = energies_of(last, self.parts, self.ranks)
            if not self.skips.active:  # which checks each step before it is applied
                divergence = beyond_bound(self.parts, largest, self.train.max_energy, self.step)
                divergence = divergence or beyond_gap(means, self.train.max_gap, self.step)
            if "samples" in means and all(map(math.isfinite, means.values())):
                gap = metrics["train/energy_gap"] = means["data"] - means["samples"]
                self.gap = gap
        if divergence is None:
            recorded = recorder.write(self.step, metrics)
            self.lr_schedule.recorded(self.step, recorded, of_monitors=False)
        else:
            recorder.diverged(divergence)
        if "loss" in metrics:
            recorder.progress.update(self.step, metrics["loss"], gap, rate)
        self.rate.start()
        return last if divergence is None else None

    def _state_metrics(self, rate: float) -> dict[str, float]:
        """Return the metrics that the host knows, in the order in which they are written."""
        metrics = {"train/steps_per_second": rate}
        counted = self.train_step.evaluations.metrics()
        metrics |= {name: n * self.ranks.size for name, n in counted.items()}
        metrics["train/lr"] = float(self.parts.optimizer.param_groups[0]["lr"])
        metrics |= self.stability.metrics()
        if self.skips.total:
            metrics["train/skipped"] = float(self.skips.total)
        return metrics

    def _takes_up_stop(self, *, recorded: bool = False) -> bool:
        """Return whether a callback or a hook stopped the run, the same on every rank.

        `recorded` is whether callbacks were just called with metrics; else several ranks agree in
        the message of the next step.
        """
        interrupts = self.interrupts
        if self.ranks.size == 1:
            interrupts.stopped = interrupts.stopping
        elif recorded and self.parts.callbacks and self._records:
            interrupts.stopped = self.ranks.broadcast_text(interrupts.stopping)
        return bool(interrupts.stopped)

    def _run_monitors(
        self,
        monitors: MonitorSchedule,
        last: StepResult | None,
        recorder: Recorder,
        *,
        end: bool,
        rest: bool = False,
    ) -> None:
        began = time.perf_counter()
        chains = self.parts.chains
        due = monitors.due(self.step, self.steps_per_epoch, end, rest=rest)
        if due:  # rank 0 runs the monitors, on the step and the chains of all ranks
            last, chains = gathered(self.ranks, last, chains)
            self.settle_averages()
        metrics = monitors(
            self.energy, last, self.step, self.steps_per_epoch, end, chains, self.networks,
            rest=rest,
        )  # fmt: skip
        if metrics:
            metrics = recorder.write(self.step, metrics)
        if due:
            self.lr_schedule.recorded(self.step, metrics, of_monitors=True)
        self._records = due or self.pending.fetched == self.step
        if self.train.keep_best and self._records:
            self.save_reason = self.ranks.broadcast_text(self.save_reason)
        self.rate.exclude(time.perf_counter() - began)

    def _save_if_due(self, recorder: Recorder) -> None:
        began = time.perf_counter()
        sync = self.train_step.gradient_sync
        late = self.checkpoints.is_late() if sync is None else sync.checkpoint_late
        due = self.checkpoints.is_due(self.step, late=late)
        if not (due or self.interrupts.save or self.save_reason):
            return
        why = self.save_reason or ("SIGUSR1" if self.interrupts.save else "its time")
        self.interrupts.save, self.save_reason = False, ""
        self._check_finite(recorder)
        recorder.save(why)
        self.checkpoints.restart_clock()
        self.rate.exclude(time.perf_counter() - began)

    def _check_finite(self, recorder: Recorder) -> None:
        """Check metrics, weights and chains, since a rollback may restore the next checkpoint."""
        divergence = self.pending.check()
        finite = is_finite(self.parts, self.infinite_buffers)
        if not all(self.ranks.all_gather(torch.tensor(finite))):
            finite = False
        if divergence is None and not finite:
            divergence = Divergence(self.step, "a weight or a chain is not a finite number")
        if divergence is not None:
            recorder.diverged(divergence)
