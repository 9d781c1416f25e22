"""Divergence: numbers that are not finite, or energies or their gap beyond a bound."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmcore.errors import DivergenceError
from ebmcore.train.components import Parts

# samples come before the losses of them, a loss before the sum, the sum before its gradient
_ORDER = {"samples": 0, "loss": 2, "train/grad_norm": 3}
_ADVICE = (
    "Smaller steps (optimizer.lr, sampler.step_size), train.clip_grad_norm or an energy penalty "
    "may keep it finite"
)
_GAP_ADVICE = (
    "Chains that don't follow the energy need more of sampler.n_steps, another sampler.step_size "
    "or a lower optimizer.lr; the monitor `advice` looks for the cause"
)


class Divergence(NamedTuple):
    """The first value that diverged."""

    step: int  # counted from 1
    text: str  # the value, its part, and the value a step before
    advice: str = _ADVICE
    response: str | None = None  # in place of train.on_divergence
    of_gap: bool = False  # of train.max_gap, which the state before may have been close to

    def error(self) -> DivergenceError:
        """Return the error that ends the run."""
        return DivergenceError(f"step {self.step}: {self.text}. {self.advice}".rstrip(". "))


def first_non_finite(
    parts: Parts,
    columns: Mapping[str, Sequence[float]],
    steps: Sequence[int],
    before: Mapping[str, float],
) -> Divergence | None:
    """Find the earliest step, and the first part in it, whose number isn't finite.

    Args:
        parts: The text names them.
        columns: Each metric at each of the steps.
        steps: The steps, counted from 1.
        before: The last finite values known before these steps.
    """
    norms = {f"train/{name}/grad_norm": 4 for name in parts.networks}
    order = {**_ORDER, **norms}
    names = sorted(columns, key=lambda name: order.get(name, 1))
    for row, step in enumerate(steps):
        for name in names:
            value = columns[name][row]
            if math.isfinite(value):
                continue
            last = columns[name][row - 1] if row else before.get(name)
            was = "" if last is None or name == "samples" else f"; {last:.6g} a step before"
            return Divergence(step, f"{name} of {_label(parts, name)} is {value}{was}")
    return None


def beyond_bound(
    parts: Parts, energies: Mapping[str, float], bound: float | None, step: int
) -> Divergence | None:
    """Return the divergence of energies that are not finite or exceed train.max_energy in size."""
    for of, largest in energies.items():
        if not math.isfinite(largest):
            return Divergence(step, f"the energy of {of}, by {parts.label('energy')}, is {largest}")
        if bound is not None and largest > bound:
            text = (
                f"an energy of {of}, by {parts.label('energy')}, is {largest:.6g} nats from 0; "
                f"train.max_energy is {bound:g}"
            )
            return Divergence(step, text)
    return None


def beyond_gap(means: Mapping[str, float], bound: float | None, step: int) -> Divergence | None:
    """Return the divergence of mean energies that are further apart than train.max_gap."""
    if bound is None or "samples" not in means:
        return None
    gap = means["data"] - means["samples"]
    if abs(gap) <= bound:
        return None
    text = f"mean E(data) - mean E(samples) is {gap:.6g} nats; train.max_gap is {bound:g}"
    return Divergence(step, text, _GAP_ADVICE, of_gap=True)


def _label(parts: Parts, name: str) -> str:
    labels = {
        "samples": parts.label("sampler"),
        "train/grad_norm": "the gradient of the losses",
        **{f"train/{name}/grad_norm": f"the gradient of network {name}" for name in parts.networks},
        **{f"loss/{term.name}": term.label for term in parts.losses},
    }
    return labels.get(name, "training")


def infinite_buffers(energy: nn.Module) -> frozenset[str]:
    """Return the names of buffers that hold inf or NaN before training, such as a mask."""
    weights = {name for name, _ in energy.named_parameters(remove_duplicate=False)}
    held = {k: v for k, v in energy.state_dict().items() if k not in weights}
    floats = {k: v for k, v in held.items() if isinstance(v, Tensor) and v.is_floating_point()}
    return frozenset(name for name, value in floats.items() if not bool(value.isfinite().all()))


def is_finite(parts: Parts, besides: Collection[str] = ()) -> bool:
    """Whether all weights and chains are finite, but for the buffers named in `besides`.

    Only a finite state is saved for a rollback.
    """
    chains = {} if parts.chains is None else parts.chains.state_dict()
    weights = {k: v for k, v in parts.energy.state_dict().items() if k not in besides}
    trained = [p for network in parts.networks.values() for p in network.parameters()]
    held = (*weights.values(), *trained, *chains.values())
    tensors = (t.detach() for t in held if isinstance(t, Tensor) and t.numel())
    # a NaN is the least and the largest; 20 times as fast on a CPU as to look at each number
    ends = [torch.stack(t.aminmax()) for t in tensors if t.is_floating_point()]
    return not ends or bool(torch.stack([end.isfinite().all() for end in ends]).all())
