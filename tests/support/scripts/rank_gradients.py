"""What several ranks compute against what one does; each rank runs this, rank 0 prints JSON."""

import copy
import json
import sys
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import ebmcore_losses
import torch
from ebmcore_discrete import RBM
from ebmcore_langevin import Langevin
from ebmcore_nets import MLP, ClassConditional, Classifier, NoiseConditional
from ebmcore_sequence import LSTM
from torch import nn
from torch.overrides import TorchFunctionMode

from ebmcore import Sampler
from ebmcore.compile.rng_replay import RngReplay
from ebmcore.config import Train
from ebmcore.contracts import Conditions
from ebmcore.data.load import Data
from ebmcore.distributed.comm import joined
from ebmcore.distributed.gradient_sync import GradientSync
from ebmcore.train.components import LossTerm, Parts
from ebmcore.train.rng import Streams
from ebmcore.train.signals import Interrupts
from ebmcore.train.step import TrainStep

BATCH = 12  # no other size in a draw is a multiple of it
CPU = torch.device("cpu")
Y = torch.arange(BATCH) % 3
Y_NEG = (torch.arange(BATCH) // 2) % 3
MASK, MASK_NEG = (torch.stack([y >= 0, y > 0], 1) for y in (Y, Y_NEG))


class Recording(TorchFunctionMode):
    """Keeps what is drawn from generators."""

    def __init__(self):
        super().__init__()
        self.values = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if kwargs and kwargs.get("generator") is not None:
            self.values.append(found)
        return found


def draws(n, seed):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def share(value, ranks):
    """Return a rank's part of something that was drawn for the whole batch."""
    dim = next(d for d, size in enumerate(value.shape) if size % BATCH == 0)
    return value.chunk(ranks.size, dim)[ranks.rank]


def plain():
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))


def of_net(kind):
    return lambda: kind(MLP((2,), hidden=[16], activation="tanh", outputs=3))


def on(energy, function):
    """Return a loss that is to be tried on another energy."""
    function = partial(function)
    function.of = energy
    return function


def losses():
    everything = {
        "contrastive_divergence": ebmcore_losses.contrastive_divergence,
        "contrastive_divergence, labels": on(
            of_net(ClassConditional), ebmcore_losses.contrastive_divergence
        ),
        "contrastive_divergence, masks": on(
            lambda: LSTM((2,), hidden=4, head_width=4), ebmcore_losses.contrastive_divergence
        ),
        "contrastive_divergence, bits": on(
            lambda: RBM(5, event_shape=(2,)), ebmcore_losses.contrastive_divergence
        ),
        "cross_entropy": on(of_net(Classifier), ebmcore_losses.cross_entropy),
        "denoising": ebmcore_losses.DenoisingScoreMatching(0.3),
        "energy_discrepancy": ebmcore_losses.energy_discrepancy,
        "energy_magnitude": ebmcore_losses.energy_magnitude,
        "gradient_penalty": ebmcore_losses.gradient_penalty(),
        "gradient_penalty, both": ebmcore_losses.gradient_penalty(at_samples=True),
        "improved_cd": ebmcore_losses.ImprovedCD(),
        "improved_cd, entropy": ebmcore_losses.ImprovedCD(entropy=1.0, through=2),
        "l1_parameters": ebmcore_losses.l1_parameters,
        "l2_parameters": ebmcore_losses.l2_parameters,
        "multilevel_denoising": on(of_net(NoiseConditional), ebmcore_losses.multilevel_denoising),
        "noise_contrastive": ebmcore_losses.NoiseContrastive(draws(200, 1), ratio=2),
        "noise_smoothness": ebmcore_losses.noise_smoothness,
        "score_matching": ebmcore_losses.score_matching,
        "sliced": ebmcore_losses.sliced_score_matching,
        "sliced, both": lambda energy, x, generator: ebmcore_losses.sliced_score_matching(
            energy, x, generator, projections=2, kind="normal"
        ),
    }
    of_bits = {
        "concrete_score_matching": ebmcore_losses.ConcreteScoreMatching(),
        "discrete_energy_discrepancy": ebmcore_losses.DiscreteEnergyDiscrepancy(samples=1),
        "pseudo_likelihood": ebmcore_losses.PseudoLikelihood(),
        "ratio_matching": ebmcore_losses.RatioMatching(),
    }
    for name, loss in of_bits.items():
        everything[name] = on(lambda: RBM(5, event_shape=(2,)), loss)
    everything["two networks"] = follows
    trains_energy = set(ebmcore_losses.__all__) - {"Cooperative"}  # `follows` stands for it
    functions = [getattr(f, "func", f) for f in everything.values()]
    missing = trains_energy - {type(f).__name__ for f in functions}
    missing -= {getattr(f, "__name__", "") for f in functions} | {"gradient_penalty"}
    assert not missing, missing
    return everything


def follows(energy, shift, x):
    """Train a network beside the energy; a loss of the energy's own goes with it."""
    return energy(shift(x)).square().mean()


follows.trains = "shift"


def parts_of(function, energy):
    networks = {"shift": nn.Linear(2, 2).double()} if function is follows else {}
    terms = [LossTerm.of("loss", function, 1.0, "loss", networks=networks)]
    if networks:
        gap = ebmcore_losses.contrastive_divergence
        terms.append(LossTerm.of("gap", gap, 1.0, "gap", networks=networks))
    of_energy = [*energy.parameters()]
    own = [*function.parameters()] if isinstance(function, nn.Module) else []
    return Parts(
        data=Data(draws(50, 2), draws(0, 2), None, draws(2, 2)),
        energy=energy,
        losses=tuple(terms),
        optimizer=torch.optim.SGD([*of_energy, *own], lr=0.1),
        device=CPU,
        sampler=Sampler(Langevin(step_size=0.05), 3),
        networks=networks,
    )


def gradient_sync(ranks, parts, bound, groups):
    return GradientSync(
        ranks, parts.parameters, [], bound=bound, interrupts=Interrupts(agreed=True), groups=groups
    )


def gradients(parts):
    return [None if p.grad is None else p.grad.clone() for p in parts.parameters]


class Alone(NamedTuple):
    """What one process computes of the whole batch."""

    draws: list[torch.Tensor]
    norm: torch.Tensor
    gradients: list[torch.Tensor | None]


def set_up(function, bound):
    torch.manual_seed(0)
    energy = getattr(function, "of", plain)().double()
    train = Train(steps=1, batch_size=BATCH, clip_grad_norm=bound)
    x, x_neg = draws(BATCH, 3), draws(BATCH, 4) + 0.5
    if isinstance(energy, RBM):
        x, x_neg = (x > 0).double(), (x_neg > 0).double()
    return parts_of(function, energy), train, x, x_neg


def masks_for(parts):
    return (MASK, MASK_NEG) if isinstance(parts.energy, LSTM) else (None, None)


def alone(function, bound):
    parts, train, x, x_neg = set_up(function, bound)
    with Recording() as recorded:
        step = TrainStep(parts, train, Streams(0), None)
        masks = masks_for(parts)
        given = Conditions(Y, masks[0]), Conditions(Y_NEG, masks[1])
        metrics = step.compute_gradients(x, x_neg, given[0], 0, given[1])
    return Alone(recorded.values, metrics["train/grad_norm"], gradients(parts))


def compare(function, bound, ranks, expected) -> dict[str, Any]:
    """Return the largest difference of several ranks' gradient to one's, relative to its size."""
    parts, train, x, x_neg = set_up(function, bound)
    step = TrainStep(parts, replace(train, clip_grad_norm=None), Streams(0), None)
    step.gradient_sync = gradient_sync(ranks, parts, bound, step.norms)
    step.gradient_sync.start_step()
    with RngReplay([share(value, ranks) for value in expected.draws]) as handed:
        x, x_neg, y, y_neg = (share(value, ranks) for value in (x, x_neg, Y, Y_NEG))
        masks = [None if each is None else share(each, ranks) for each in masks_for(parts)]
        step.compute_gradients(x, x_neg, Conditions(y, masks[0]), 0, Conditions(y_neg, masks[1]))
    assert handed.used == len(expected.draws)
    own = gradients(parts)
    assert torch.allclose(step.gradient_sync.reduce()["train/grad_norm"], expected.norm, rtol=1e-9)
    found = gradients(parts)
    assert [g is None for g in found] == [g is None for g in expected.gradients]
    rows = [r for r in zip(found, expected.gradients, own, strict=True) if r[1] is not None]
    size = max(float(b.abs().max()) for _, b, _ in rows)
    return {
        "off": max(float((a - b).abs().max()) for a, b, _ in rows) / size,
        # how far a share's own gradient is from it: that there was something to average
        "share": max(float((c - b).abs().max()) for _, b, c in rows) / size,
    }


def compiled(ranks) -> float:
    """Return how far three compiled steps of several ranks lead from three eager ones."""
    from ebmcore.compile.step import CompiledStep

    ends = []
    for kind in (TrainStep, CompiledStep):
        torch.manual_seed(0)
        energy = of_net(ClassConditional)().double()
        parts = parts_of(ebmcore_losses.contrastive_divergence, energy)
        parts.chains = copy.deepcopy(chains())
        more = {} if kind is TrainStep else {"backend": "eager"}
        train = Train(steps=3, batch_size=BATCH)
        step = kind(parts, train, Streams(0, CPU, ranks.rank), None, **more)
        step.gradient_sync = gradient_sync(ranks, parts, 0.01, step.norms)
        for number in range(3):
            step(share(draws(BATCH, 10 + number), ranks), Conditions(share(Y, ranks)), number)
        assert kind is TrainStep or step.mode == "step", step.left_out
        ends.append(torch.cat([p.detach().flatten() for p in parts.parameters]))
    return float((ends[0] - ends[1]).abs().max())


def chains():
    from ebmcore_chains import Noise

    return Noise(kind="normal")


def main():
    cases = [(name, bound) for name in losses() for bound in (None, 1e-3)]
    expected = {case: alone(losses()[case[0]], case[1]) for case in cases}  # before there are ranks
    with joined() as ranks:
        found = {
            f"{name}, clipped at {bound}": compare(losses()[name], bound, ranks, one)
            for (name, bound), one in expected.items()
        }
        steps = compiled(ranks)
        if ranks.rank == 0:
            sys.stdout.write(json.dumps({"gradients": found, "compiled": steps}))


main()
