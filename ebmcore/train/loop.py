"""The loop: batches in, steps, metrics fetched once an interval, monitors when they are due."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmcore.config import Cadence, Train
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.gradient_sync import Meeting
from ebmcore.distributed.rank import Place
from ebmcore.sampling import evaluating
from ebmcore.train.components import Parts, blame
from ebmcore.train.divergence import (
    Found,
    beyond_bound,
    first_non_finite,
    infinite_buffers,
    is_finite,
)
from ebmcore.train.ema import Average
from ebmcore.train.monitor_schedule import MonitorSchedule
from ebmcore.train.rng import DATA_ORDER, Streams, own_global_stream
from ebmcore.train.signals import Interrupts
from ebmcore.train.step import TrainStep
from ebmcore.train.timing import Account
from ebmcore.train.types import Silent, Stepped, gathered


class Hands(NamedTuple):
    """What a run's loop has others do: it writes nothing itself."""

    write: Callable[[int, dict[str, float]], None]  # metrics
    save: Callable[[str], None]  # a checkpoint, and why
    diverged: Callable[[Found], None]  # mends what went wrong, or raises
    event: Callable[..., None]  # records what happened beside the steps
    show: Silent


class Loop:
    """The training of a set of parts, step by step."""

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        interrupts: Interrupts,
        step: Callable[..., TrainStep] = TrainStep,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks(Place())
        self.parts = parts
        self.train = train
        self.streams = streams
        self.interrupts = interrupts
        self.steps_per_epoch = len(parts.data.x) // train.batch_size
        self.steps = train.steps or (train.epochs or 0) * self.steps_per_epoch
        self.step = 0  # training steps done
        self.chains = parts.chains  # at the end those of all ranks
        self.averaged = None
        if train.ema is not None:
            self.averaged = Average(parts.energy, train.ema)
        self.account = Account()
        together = self.ranks.size > 1
        own = replace(train, clip_grad_norm=None) if together else train  # the average is clipped
        self.one_step = step(parts, own, streams, self.averaged, self.account)
        if together:
            self.one_step.meeting = self._meeting()
        self.after_step: Callable[[], None] | None = None  # who wants to hear of every step
        self.saving = Cadence.parse_with_minutes(train.checkpoint_every)
        self.waiting: list[tuple[int, dict[str, Tensor]]] = []  # metrics not fetched, by step
        self.fetched = 0  # the step of the last fetch
        self.checked = 0  # how many of those that wait are known to be finite
        self.finite: dict[str, float] = {}  # the last finite value of each metric
        self.infinite = infinite_buffers(parts.energy)
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.save_wanted = ""  # why a checkpoint is asked for out of turn
        self.resumed_at = 0
        self._epoch_start: Tensor | None = None  # the order's stream before this epoch's shuffle
        self.clock = self.saved_at = time.perf_counter()

    @property
    def energy(self) -> nn.Module:
        """The energy with the averaged weights, when an average is kept."""
        return self.parts.energy if self.averaged is None else self.averaged.module

    def _meeting(self) -> Meeting:
        return Meeting(
            self.ranks,
            self.parts.parameters,
            self.parts.buffers,
            bound=self.train.clip_grad_norm,
            interrupts=self.interrupts,
            clock=self._is_late,
            aside=self.parts.device.type != "cpu",
        )

    @property
    def epoch(self) -> float:
        """Passes over the data done."""
        return self.step / self.steps_per_epoch

    def run(self, watch: MonitorSchedule, hands: Hands) -> None:
        """Train to the last step, or until a signal; the end's checkpoint is written here, too."""
        self.clock = self.saved_at = time.perf_counter()
        if self.train.on_divergence == "rollback" and self.step == 0 and self.steps:
            hands.save("to roll back to")
        while self.step < self.steps and self.interrupts.number is None:
            for index in self._batches():
                last = self._train_on(index, hands)
                self.step += 1
                self._schedule()
                if self.after_step is not None:
                    self.after_step()
                end = self.step >= self.steps
                if end or self.step - self.fetched == self.train.log_every:
                    last = self._fetch(last, hands)
                self._look(watch, last, hands, end=end)
                if end or self.interrupts.number is not None:
                    break
                self._save_if_due(hands)
        if self.step > self.resumed_at or self.step == 0:
            self._check(hands)
            hands.save(
                "the end" if self.step >= self.steps else self.interrupts.early or "a signal"
            )
        _, self.chains = gathered(self.ranks, None, self.parts.chains)

    def state_dict(self) -> dict[str, Any]:
        """Return where the loop stands: the step, the data's order, metrics not yet written."""
        begun = self.step % self.steps_per_epoch
        return {
            "step": self.step,
            "epoch_start": self._epoch_start if begun else None,
            "fetched": self.fetched,
            "waiting": [[step, dict(row)] for step, row in self.waiting],
            "finite": dict(self.finite),
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "evaluations": self.one_step.evaluations.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.step = self.resumed_at = int(state["step"])
        self._epoch_start = state["epoch_start"]
        self.fetched = int(state["fetched"])
        device = self.parts.device
        self.waiting = [
            (step, {name: value.to(device) for name, value in row.items()})
            for step, row in state["waiting"]
        ]
        self.checked = len(self.waiting)
        self.finite = dict(state["finite"])
        self.skipped = int(state["skipped"])
        self.skipped_in_a_row = int(state["skipped_in_a_row"])
        if "evaluations" in state:
            self.one_step.evaluations.load_state_dict(state["evaluations"])

    def forget(self) -> None:
        """Drop the metrics of steps that are not to count, since the run was rolled back."""
        self.waiting, self.checked = [], 0
        self.skipped_in_a_row = 0

    def _batches(self) -> list[Tensor]:
        """Shuffle, and return the epoch's batches that are left; a few odd points wait an epoch."""
        n, done = len(self.parts.data.x), self.step % self.steps_per_epoch
        stream = self.streams(DATA_ORDER, on_cpu=True)
        if done and self._epoch_start is not None:
            stream.set_state(self._epoch_start)
        self._epoch_start = stream.get_state()
        order = torch.randperm(n, generator=stream)
        batches = order[: self.steps_per_epoch * self.train.batch_size].to(self.parts.data.x.device)
        whole = batches.view(self.steps_per_epoch, self.train.batch_size)
        return list(whole.chunk(self.ranks.size, 1)[self.ranks.rank])[done:]

    def _train_on(self, index: Tensor, hands: Hands) -> Stepped | None:
        """Take one step; with on_divergence: skip, None when its numbers were not finite."""
        with self.account("data"):
            x, y = self.parts.data.x[index], self.parts.data.y
            y = None if y is None else y[index]
        skips = self.train.on_divergence == "skip"
        buffers = self._buffers() if skips else []
        states = self._states() if skips else []
        proposal = self.one_step.compute(x, y, self.step)
        if skips:
            found = self._wrong_in(proposal, self.step + 1)
            if found is not None:
                for buffer, before in buffers:
                    buffer.copy_(before)
                for part, before in states:
                    part.load_state_dict(before)
                self._skip(found, hands)
                return None
            self.skipped_in_a_row = 0
        self.one_step.apply(proposal, self.step)
        self.waiting.append((self.step + 1, proposal.metrics))
        return proposal

    def _buffers(self) -> list[tuple[Tensor, Tensor]]:
        """Return the buffers that a forward pass may write to, such as running means, and copies.

        They are all the energy's and those of the losses that are modules.
        """
        return [(buffer, buffer.clone()) for buffer in self.parts.buffers]

    def _states(self) -> list[tuple[Any, Any]]:
        """Return the parts that remember something of a step before it is applied, and copies.

        They are the sampler, losses that are no modules, and chains that a loss is handed.
        """
        found: list[Any] = [
            part
            for name, part in self.parts.stateful
            if not (name.startswith("monitor ") or isinstance(part, nn.Module))
        ]
        if self.one_step.keeps_early and self.parts.chains is not None:
            found.append(self.parts.chains)
        return [(part, copy.deepcopy(part.state_dict())) for part in found]

    def _wrong_in(self, proposal: Stepped, step: int) -> Found | None:
        """Look at a step's numbers before it is applied: the host copy that `skip` asks for."""
        values = self._numbers([proposal.metrics])
        found = first_non_finite(self.parts, values, [step], self.finite)
        # without a bound energies are looked at where a fetch may have seen that they went wrong
        due = self.step == self.fetched or self.skipped_in_a_row > 0
        bounded = self.train.max_energy is not None
        if found is None and (bounded or (due and proposal.x_neg is not None)):
            _, largest = self._energies(proposal)
            found = beyond_bound(self.parts, largest, self.train.max_energy, step)
        return found

    def _skip(self, found: Found, hands: Hands) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        hands.event(found.step, "skipped", why=found.text, in_a_row=self.skipped_in_a_row)
        if self.skipped_in_a_row >= self.train.max_skips:
            steps = f"{self.skipped_in_a_row} steps in a row were skipped (train.max_skips)"
            raise found._replace(text=f"{found.text}; {steps}").error()

    def _schedule(self) -> None:
        schedule = self.parts.lr_scheduler
        if schedule is None:
            return
        if self.parts.lr_interval == "step" or self.step % self.steps_per_epoch == 0:
            with blame(f"lr_scheduler {type(schedule).__name__}", self.step):
                schedule.step()

    def _fetch(self, last: Stepped | None, hands: Hands) -> Stepped | None:
        """Bring the interval's metrics to the host and tell them, if all of them are finite.

        Returns the last step, or None when it went wrong, and there is nothing to be looked at.
        """
        rate = (self.step - self.fetched) / (time.perf_counter() - self.clock)
        self.fetched = self.step
        with self.account("metrics to the host"):
            columns = self._columns()
        found = self._wrong_among(columns)
        if found is not None:
            hands.diverged(found)
            self.clock = time.perf_counter()
            return None
        metrics = {name: sum(values) / len(values) for name, values in columns.items()}
        metrics.pop("samples", None)  # their sum, which is fetched for the check alone
        self.waiting, self.checked = [], 0
        metrics["train/steps_per_second"] = rate
        counted = self.one_step.evaluations.metrics()
        metrics |= {name: n * self.ranks.size for name, n in counted.items()}
        metrics["train/lr"] = float(self.parts.optimizer.param_groups[0]["lr"])
        if self.skipped:
            metrics["train/skipped"] = float(self.skipped)
        gap = None
        if last is not None and (last.x_neg is not None or self.train.max_energy is not None):
            means, largest = self._energies(last)
            if self.train.on_divergence != "skip":  # which looks before the next step is applied
                found = beyond_bound(self.parts, largest, self.train.max_energy, self.step)
            if "samples" in means and all(map(math.isfinite, means.values())):
                gap = metrics["train/energy_gap"] = means["data"] - means["samples"]
        if found is None:
            hands.write(self.step, metrics)
        else:
            hands.diverged(found)
        if "loss" in metrics:
            hands.show.update(self.step, metrics["loss"], gap, rate)
        self.clock = time.perf_counter()
        return last if found is None else None

    def _columns(self) -> dict[str, list[float]]:
        """Return each waiting metric that every waiting step has, at each of these steps."""
        return self._numbers([row for _, row in self.waiting])

    def _numbers(self, rows: Sequence[Mapping[str, Tensor]]) -> dict[str, list[float]]:
        """Return on the host what all rows have, each name's values; of several ranks, the mean."""
        names = [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]
        columns = [torch.stack([row[name] for row in rows]) for name in names]
        if self.ranks.size > 1 and columns:
            columns = list(self.ranks.mean_(torch.stack([c.double() for c in columns]).cpu()))
        return {name: column.tolist() for name, column in zip(names, columns, strict=True)}

    def _wrong_among(self, columns: Mapping[str, list[float]]) -> Found | None:
        steps = [step for step, _ in self.waiting]
        found = first_non_finite(self.parts, columns, steps, self.finite)
        if found is None:
            self.finite |= {name: values[-1] for name, values in columns.items()}
        return found

    def _check(self, hands: Hands) -> None:
        """See to it that no number is wrong, before a checkpoint calls all of them good."""
        found = None
        if len(self.waiting) > self.checked:
            found = self._wrong_among(self._columns())
            self.checked = len(self.waiting)
        finite = is_finite(self.parts, self.infinite)
        if not all(self.ranks.rows(torch.tensor(finite))):
            finite = False
        if found is None and not finite:
            found = Found(self.step, "a weight or a chain is not a finite number")
        if found is not None:
            hands.diverged(found)

    def _energies(self, last: Stepped) -> tuple[dict[str, float], dict[str, float]]:
        """Return mean E and largest |E| of data and samples; asking for them changes nothing."""
        energy = self.parts.energy
        named = {"data": last.x, "samples": last.x_neg}
        batches = {name: x for name, x in named.items() if x is not None}
        aside = own_global_stream(None, self.parts.device)
        with torch.no_grad(), aside, evaluating(energy):
            found = {name: energy(x) for name, x in batches.items()}
            numbers = [[e.mean(), e.abs().max()] for e in found.values()]
            table = torch.stack([torch.stack(pair) for pair in numbers])
        if self.ranks.size > 1:
            each = torch.stack(self.ranks.rows(table.cpu()))
            table = torch.stack([each[..., 0].mean(0), each[..., 1].amax(0)], -1)
        rows = table.tolist()
        means = {name: row[0] for name, row in zip(found, rows, strict=True)}
        return means, {name: row[1] for name, row in zip(found, rows, strict=True)}

    def _look(
        self, watch: MonitorSchedule, last: Stepped | None, hands: Hands, *, end: bool
    ) -> None:
        began = time.perf_counter()
        chains, due = self.parts.chains, watch.due(self.step, self.steps_per_epoch, end)
        if due:  # the monitors are rank 0's, and see what all ranks have
            last, chains = gathered(self.ranks, last, chains)
        metrics = watch(self.energy, last, self.step, self.steps_per_epoch, end, chains)
        if metrics:
            hands.write(self.step, metrics)
        if self.train.keep_best and (due or self.fetched == self.step):
            self.save_wanted = self.ranks.word(self.save_wanted)
        self.clock += time.perf_counter() - began  # steps per second are the steps' own

    def _save_if_due(self, hands: Hands) -> None:
        began = time.perf_counter()
        meeting = self.one_step.meeting
        due = self._is_late() if meeting is None else meeting.clock_said
        if self.saving.unit != "minute":
            due = self.saving.is_due(self.step, self.steps_per_epoch)
        if not (due or self.interrupts.save or self.save_wanted):
            return
        why = self.save_wanted or ("SIGUSR1" if self.interrupts.save else "its time")
        self.interrupts.save, self.save_wanted = False, ""
        self._check(hands)
        hands.save(why)
        self.saved_at = time.perf_counter()
        self.clock += self.saved_at - began

    def _is_late(self) -> bool:
        """Whether a checkpoint is due by the clock."""
        late = time.perf_counter() - self.saved_at >= 60 * self.saving.count
        return self.saving.unit == "minute" and late
