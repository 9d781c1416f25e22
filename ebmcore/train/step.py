"""One training step, without a host copy or a Python branch on a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel

from ebmcore.config import Train
from ebmcore.contracts import Conditions, Sample, Start
from ebmcore.distributed.gradient_sync import GradientSync, clip
from ebmcore.sampling import differentiate, keep_ends, start_chains
from ebmcore.train.components import LossTerm, Parts
from ebmcore.train.optim import fuse, unwrapped_step
from ebmcore.train.rng import Streams
from ebmcore.train.targets import gradients_of, groups_of, norm_name, optimizer_label
from ebmcore.train.timing import Evaluations, Timing
from ebmcore.train.types import StepResult

NO_CONDITIONS = Conditions()
GRADIENT = "the gradient of the losses"
GRADIENT_SYNC = "the average over the ranks, and waiting for it"


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Turn off fused kernels without a double backward: cuDNN's RNNs and flash attention."""
    with torch.backends.cudnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield


class TrainStep:
    """One step: start points, k sampler steps, losses, backward, clipping, optimiser, average.

    Args:
        parts: The parts to train.
        train: The config's `train` section.
        streams: The random streams of the sampler, the chains and the losses.
        averaged: The average of the weights, updated after each step.
        timing: Where the seconds of each part are added.
    """

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        averaged: AveragedModel | None,
        timing: Timing | None = None,
    ) -> None:
        self.parts = parts
        self.train = train
        self.streams = streams
        self.averaged = averaged
        self.timing = timing or Timing()
        self.gradient_sync: GradientSync | None = None  # with several ranks; it clips
        self.evaluations = Evaluations(parts.energy, train.log_every)
        self.averaged_networks: dict[str, AveragedModel] = {}
        self.targets = parts.targets
        self.parameters = parts.parameters
        self.norms = {norm_name(name): group for name, group in groups_of(self.targets).items()}
        optimizers = {optimizer_label(*one): one[1] for one in parts.every_optimizer.items()}
        self.why_not_fused = {label: fuse(optimizer) for label, optimizer in optimizers.items()}
        self.optimizer_steps = {
            label: unwrapped_step(optimizer) for label, optimizer in optimizers.items()
        }
        self.second_order = any(term.order == 2 for term in parts.losses)
        # a loss that takes `chains` needs their new state, so they are kept before `apply`
        self.keeps_chains_early = any("chains" in term.slots for term in parts.losses)

    def __call__(self, x: Tensor, conditions: Conditions, step: int) -> StepResult:
        """Train on one batch; `step` counts the steps done before."""
        proposal = self.compute(x, conditions, step)
        self.apply(proposal, step)
        return proposal

    def compute(self, x: Tensor, conditions: Conditions, step: int) -> StepResult:
        """Run the sampler and compute the losses and their gradient, in the parameters' `grad`.

        Weights, averages and kept chains don't change before `apply`, so a step may be dropped.
        """
        x = self.add_noise(x)
        start = self.start_chains(x, conditions, step) if self.parts.needs_samples else None
        if self.gradient_sync is not None:
            self.gradient_sync.start_step()
        result = self.compute_from(start, x, conditions, step)
        self.evaluations.add_step()
        if self.gradient_sync is not None:
            with self.timing(GRADIENT_SYNC):
                result.metrics.update(self.gradient_sync.reduce())
        return result

    def compute_from(
        self, start: Start | None, x: Tensor, conditions: Conditions, step: int
    ) -> StepResult:
        """Do the work of `compute` from the chains' start points; here eagerly."""
        with self.evaluations.counting() if self.evaluations.due(step) else nullcontext():
            sample = None if start is None else self.run_sampler(start, step)
            x_neg, info, end = self.end_of(start, sample, step)
            metrics = self.compute_gradients(x, x_neg, conditions, step, chains_have(start))
            return StepResult(x, x_neg, info, metrics, end, conditions)

    def end_of(
        self, start: Start | None, sample: Sample | None, step: int
    ) -> tuple[Tensor | None, Any, Start | None]:
        """Return x⁻, the sampler's info and the chains' ends, which are kept if a loss needs it."""
        if start is None or sample is None:
            return None, None, None
        end = Start(sample.x, start.y, sample.carried, mask=start.mask)
        if self.keeps_chains_early:
            self.keep_chains(end, step)
        return sample.x, sample.info, end

    def compute_gradients(
        self,
        x: Tensor,
        x_neg: Tensor | None,
        conditions: Conditions,
        step: int,
        of_x_neg: Conditions = NO_CONDITIONS,
    ) -> dict[str, Tensor]:
        """Compute the losses and their gradient, in the parameters' `grad`; return the metrics."""
        self.zero_grad()
        with self.derivatives():
            values, loss, metrics = self.objective(x, x_neg, conditions, step, of_x_neg)
            with self.timing(GRADIENT, step + 1):
                self.differentiate(values, loss)
        metrics.update(self.clip())
        metrics["samples"] = x.new_zeros(()) if x_neg is None else x_neg.sum()
        return metrics

    def zero_grad(self) -> None:
        """Drop the gradients of the step before."""
        for optimizer in self.parts.every_optimizer.values():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    def differentiate(self, values: Sequence[Tensor], loss: Tensor) -> None:
        """Put the gradient of the weighted losses into the `grad` of what each of them trains.

        `loss` is their sum, which is all that there is to differentiate without networks.
        """
        if not self.parts.networks:
            differentiate(loss)
            return
        gradients = gradients_of(self.targets, values)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def derivatives(self) -> AbstractContextManager[None]:
        """Return a context in which the losses can be differentiated to their order."""
        return differentiable_twice() if self.second_order else nullcontext()

    def apply(self, proposal: StepResult, step: int) -> None:
        """Keep the chains' end points, update the weights and then their average."""
        if proposal.end is not None and not self.keeps_chains_early:
            self.keep_chains(proposal.end, step)
        for label, optimizer_step in self.optimizer_steps.items():
            with self.timing(label, step + 1):
                optimizer_step()
        if self.averaged is not None:
            with self.timing("the average of the weights"):
                self.averaged.update_parameters(self.parts.energy)
                for name, average in self.averaged_networks.items():
                    average.update_parameters(self.parts.networks[name])

    def add_noise(self, x: Tensor) -> Tensor:
        """Add Gaussian noise of standard deviation train.data_noise."""
        if not self.train.data_noise:
            return x
        noise = torch.randn(
            x.shape, generator=self.streams("data noise"), device=x.device, dtype=x.dtype
        )
        return x + self.train.data_noise * noise

    def start_chains(self, x: Tensor, conditions: Conditions, step: int) -> Start:
        """Return the start points of a batch's chains; they get y if the energy requires it."""
        assert self.parts.chains is not None
        y = conditions.y if self.parts.conditional else None
        with self.timing(self.parts.label("chains"), step + 1):
            return start_chains(
                self.parts.chains,
                x,
                generator=self.streams("chains"),
                y=y,
                mask=conditions.mask,
                space=self.parts.data.space,
            )

    def run_sampler(self, start: Start, step: int) -> Sample:
        """Run the sampler from the chains' start points."""
        assert self.parts.sampler is not None
        with self.timing(self.parts.label("sampler"), step + 1):
            return self.parts.sampler(self.parts.energy, start, self.streams("sampler"))

    def keep_chains(self, end: Start, step: int) -> None:
        """Store the chains' ends."""
        assert self.parts.chains is not None
        with self.timing(self.parts.label("chains"), step + 1):
            keep_ends(self.parts.chains, end)

    def objective(
        self,
        x: Tensor,
        x_neg: Tensor | None,
        conditions: Conditions,
        step: int,
        of_x_neg: Conditions = NO_CONDITIONS,
    ) -> tuple[list[Tensor], Tensor, dict[str, Tensor]]:
        """Return the weighted losses, their sum, and the metrics: it, and each loss unweighted."""
        slots = {
            "energy": self.parts.energy,
            "x": x,
            "x_neg": x_neg,
            **condition_slots(conditions, of_x_neg),
            "step": step,
            "sampler": self.parts.sampler,
            "chains": self.parts.chains,
            "networks": self.parts.networks,
            **self.parts.networks,
        }
        values: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        for term in self.parts.losses:
            with self.timing(term.label, step + 1):
                generator = self.streams(stream_of(term)) if "generator" in term.slots else None
                value, extra = evaluate(term, slots, generator)
            values.append(term.weight * value)
            metrics |= numbers_of(term, value, extra)
        loss = total(values, x)
        return values, loss, {"loss": loss.detach(), **metrics}

    def clip(self) -> dict[str, Tensor]:
        """Return the norm of each group's gradient, and scale it to train.clip_grad_norm."""
        bound = self.train.clip_grad_norm
        return {name: clip(group, bound) for name, group in self.norms.items()}


def total(values: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return the sum of the weighted losses, scalars, on the device and in the dtype of x."""
    return sum(values, start=torch.zeros((), device=x.device, dtype=x.dtype))


def chains_have(start: Start | None) -> Conditions:
    """Return the chains' conditions, as far as they have any."""
    return NO_CONDITIONS if start is None else start.conditions


def condition_slots(conditions: Conditions, of_x_neg: Conditions) -> dict[str, Any]:
    """Return the slots of a loss for the conditions of x and of x⁻."""
    negative = {f"{name}_neg": value for name, value in of_x_neg._asdict().items()}
    return {**conditions._asdict(), **negative}


def stream_of(term: LossTerm) -> str:
    """Return the name of a loss's random stream."""
    return f"loss {term.name}"


def evaluate(
    term: LossTerm, slots: dict[str, Any], generator: Any
) -> tuple[Tensor, dict[str, Tensor]]:
    """Call a loss with the slots that it names; return its value and the numbers it logs."""
    named = {name: slots[name] for name in term.slots if name != "generator"}
    if "generator" in term.slots:
        named["generator"] = generator
    result = term.function(**named)
    value, extra = result if isinstance(result, tuple) else (result, {})
    if not isinstance(value, Tensor) or value.shape != ():
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"a loss returns a scalar tensor, shape (); got {found}")
    numbers = {k: torch.as_tensor(n).to(value.device, non_blocking=True) for k, n in extra.items()}
    for name, number in numbers.items():
        if number.shape != ():
            raise ValueError(f"{name!r}, to be logged, should be a scalar; got {number.shape}")
    return value, numbers


def numbers_of(term: LossTerm, value: Tensor, extra: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a loss's value and copies of the numbers that it logs.

    A number may be a parameter of the loss, which the optimiser then changes.
    """
    named = {f"loss/{term.name}/{k}": number.detach().clone() for k, number in extra.items()}
    return {f"loss/{term.name}": value.detach(), **named}
