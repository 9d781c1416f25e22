"""One training step, without a host copy or a Python branch on a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel

from ebmcore.config import Train
from ebmcore.contracts import Sample
from ebmcore.distributed.gradient_sync import Meeting, clip
from ebmcore.train.components import LossTerm, Parts
from ebmcore.train.optim import bare_step, fuse
from ebmcore.train.rng import Streams
from ebmcore.train.timing import Account, Evaluations
from ebmcore.train.types import Stepped

GRADIENT = "the gradient of the losses"
MEETING = "the average over the ranks, and waiting for it"


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Turn off the fused paths that have no double backward: cuDNN's RNNs and flash attention."""
    with torch.backends.cudnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield


class TrainStep:
    """Start points, k sampler steps, losses, backward, clipping, optimiser, average."""

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        averaged: AveragedModel | None,
        account: Account | None = None,
    ) -> None:
        self.parts = parts
        self.train = train
        self.streams = streams
        self.averaged = averaged
        self.account = account or Account()
        self.meeting: Meeting | None = None  # of several ranks; it clips, so `train` must not
        self.evaluations = Evaluations(parts.energy, train.log_every)
        self.parameters = parts.parameters
        self.not_fused = fuse(parts.optimizer)  # why not, if so
        self.move_weights = bare_step(parts.optimizer)
        self.second_order = any(term.order == 2 for term in parts.losses)
        # a loss that is handed the chains sees them moved on, so its step can't be dropped whole
        self.keeps_early = any("chains" in term.slots for term in parts.losses)

    def __call__(self, x: Tensor, y: Tensor | None, step: int) -> Stepped:
        """Train on one batch; `step` counts the steps done before."""
        proposal = self.compute(x, y, step)
        self.apply(proposal, step)
        return proposal

    def compute(self, x: Tensor, y: Tensor | None, step: int) -> Stepped:
        """Move chains on, take the losses and leave their gradient in the parameters' `grad`.

        Weights, averages and kept chains stay as they were till `apply`, so a step may be dropped.
        """
        x = self.add_noise(x)
        start = self.start(x, step) if self.parts.needs_samples else None
        if self.meeting is not None:
            self.meeting.begin()
        stepped = self.work(x, y, start, step)
        self.evaluations.add_step()
        if self.meeting is not None:
            with self.account(MEETING):
                stepped.metrics["train/grad_norm"] = self.meeting.end()
        return stepped

    def work(self, x: Tensor, y: Tensor | None, start: Tensor | None, step: int) -> Stepped:
        """Do what `compute` does, from where the chains begin; here one operation at a time."""
        with self.evaluations.counting() if self.evaluations.due(step) else nullcontext():
            x_neg, info = (None, None) if start is None else self.move(start, step)
            if x_neg is not None and self.keeps_early:
                self.keep(x_neg, step)
            return Stepped(x, x_neg, info, self.judge(x, x_neg, y, step))

    def judge(
        self, x: Tensor, x_neg: Tensor | None, y: Tensor | None, step: int
    ) -> dict[str, Tensor]:
        """Take the losses, leave their gradient in the parameters, and return the metrics."""
        self.parts.optimizer.zero_grad(set_to_none=True)
        with self.derivatives():
            total, metrics = self.objective(x, x_neg, y, step)
            with self.account(GRADIENT, step + 1):
                total.backward()  # type: ignore[no-untyped-call] # torch's own
        metrics["train/grad_norm"] = self.clip()
        metrics["samples"] = x.new_zeros(()) if x_neg is None else x_neg.sum()
        return metrics

    def derivatives(self) -> AbstractContextManager[None]:
        """Return a context in which the losses can be differentiated as often as they need."""
        return differentiable_twice() if self.second_order else nullcontext()

    def apply(self, proposal: Stepped, step: int) -> None:
        """Keep the chains' ends, move the weights, and then their average."""
        if proposal.x_neg is not None and not self.keeps_early:
            self.keep(proposal.x_neg, step)
        with self.account(f"optimizer {type(self.parts.optimizer).__name__}", step + 1):
            self.move_weights()
        if self.averaged is not None:
            with self.account("the average of the weights"):
                self.averaged.update_parameters(self.parts.energy)

    def add_noise(self, x: Tensor) -> Tensor:
        """Add the Gaussian noise that train.data_noise asks for."""
        if not self.train.data_noise:
            return x
        noise = torch.randn(
            x.shape, generator=self.streams("data noise"), device=x.device, dtype=x.dtype
        )
        return x + self.train.data_noise * noise

    def start(self, x: Tensor, step: int) -> Tensor:
        """Return where the chains of a batch begin."""
        assert self.parts.chains is not None
        with self.account(self.parts.label("chains"), step + 1):
            return self.parts.chains.start(x, self.streams("chains"))

    def move(self, start: Tensor, step: int) -> Sample:
        """Run the sampler from where the chains begin."""
        assert self.parts.sampler is not None
        with self.account(self.parts.label("sampler"), step + 1):
            return self.parts.sampler(self.parts.energy, start, self.streams("sampler"))

    def keep(self, x_end: Tensor, step: int) -> None:
        """Let the chains remember where they ended."""
        assert self.parts.chains is not None
        with self.account(self.parts.label("chains"), step + 1):
            self.parts.chains.keep(x_end)

    def objective(
        self, x: Tensor, x_neg: Tensor | None, y: Tensor | None, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the losses, and each of them unweighted."""
        slots = {
            "energy": self.parts.energy,
            "x": x,
            "x_neg": x_neg,
            "y": y,
            "step": step,
            "sampler": self.parts.sampler,
            "chains": self.parts.chains,
        }
        total = torch.zeros((), device=x.device, dtype=x.dtype)
        metrics: dict[str, Tensor] = {}
        for term in self.parts.losses:
            with self.account(term.label, step + 1):
                generator = self.streams(stream_of(term)) if "generator" in term.slots else None
                value, extra = evaluate(term, slots, generator)
            total = total + term.weight * value
            metrics |= numbers_of(term, value, extra)
        return total, {"loss": total.detach(), **metrics}

    def clip(self) -> Tensor:
        """Return the gradient's norm, and scale it down to train.clip_grad_norm if there is one."""
        return clip(self.parameters, self.train.clip_grad_norm)


def stream_of(term: LossTerm) -> str:
    """Name the random stream of a loss."""
    return f"loss {term.name}"


def evaluate(
    term: LossTerm, slots: dict[str, Any], generator: Any
) -> tuple[Tensor, dict[str, Tensor]]:
    """Call one loss with the slots that it names; return its value and what it logs."""
    named = {name: slots[name] for name in term.slots if name != "generator"}
    if "generator" in term.slots:
        named["generator"] = generator
    result = term.function(**named)
    value, extra = result if isinstance(result, tuple) else (result, {})
    if not isinstance(value, Tensor) or value.shape != ():
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"a loss returns a scalar tensor, shape (); got {found}")
    numbers = {name: torch.as_tensor(number, device=value.device) for name, number in extra.items()}
    for name, number in numbers.items():
        if number.shape != ():
            raise ValueError(f"{name!r}, to be logged, should be a scalar; got {number.shape}")
    return value, numbers


def numbers_of(term: LossTerm, value: Tensor, extra: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what is logged of one loss.

    Copies: what a loss logs may be a parameter of its own, which the optimiser then moves.
    """
    named = {f"loss/{term.name}/{k}": number.detach().clone() for k, number in extra.items()}
    return {f"loss/{term.name}": value.detach(), **named}
