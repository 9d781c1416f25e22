"""Diagnostics of the sampler: convergence, movement and acceptance of chains, and long runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ebmcore import NonNegativeInt, PositiveInt, RunView, Trace, conditioned, energy_and_score
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.points.labels import (
    energies_at,
    labels_for,
    masks_for,
    subset_with_conditions,
)
from ebmcore_monitors.points.lattice import is_lattice
from ebmcore_monitors.points.mixed import mixing_of, repeated
from ebmcore_monitors.statistics.convergence import ess_bulk, ess_tail, mcse_mean, rhat
from ebmcore_monitors.statistics.mixing import Statistic, by_group, groups_of
from ebmcore_monitors.statistics.signals import step_lengths
from ebmcore_monitors.warn_once import WarnsOnce

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 1000  # of the trace, at most, from which a single step is measured
JUDGED = 2000  # points of data, at most, whose energies are compared with the chains'
PLOTTED = 8  # chains in the figure
_STEP = "Change sampler.step_size: it is too small, or so large that the kernel rejects every step"
_STUCK = "They stand in wells too deep for this sampler: try another, such as parallel_tempering"
BAND = (0.05, 0.95)  # quantiles of the data's energies between which the figure is shaded


class SamplerHealth(WarnsOnce):
    """Convergence, movement and acceptance of the chains, along a trace of copies of them.

    - `rhat_energy`, `ess_bulk_energy`, `ess_tail_energy`: rank-normalised split R-hat (1 for chains
      that agree; over 1.01 they don't yet) and effective sample sizes, out of `n_chains` times the
      kept states, of the chains' energies, and `mcse_energy`, the Monte Carlo standard error of
      their mean. `rhat_x1`, `ess_bulk_x1`, `ess_tail_x1`, `mcse_x1`, … of the first coordinates. Of
      a conditional energy, the largest R-hat and error and the sum of the sizes over chains of one
      label, and of sequences of different length over those of one mask.
    - `score_norm`: mean ‖∇E(x)‖₂ over the trace, in nats per unit of x.
    - `acceptance`: mean over the trace, and `divergences`, their number in it, for kernels that
      report them. With `thin` over 1, they are those of the kept steps.
    - `implied_temperature`: T of the density exp(-E/T) that the sampler targets.
    - `swap_rate`, `lowest_swap_rate`: the mean over the pairs of replicas at neighbouring
      temperatures of how often they swap, and that of the pair that swaps least; `round_trips`: of
      replicas of a chain to the highest temperature and back, within the trace. For kernels that
      report them, such as `parallel_tempering`.
    - `d_s`: mean E(data) - mean E(samples of the last training step), in nats; near 0 when the
      chains keep up with training. `r_s`: mean length of a step's gradient part, `r_noise` of its
      noise, in units of x, and `step_ratio` = r_s / r_noise. Not for samplers that accept or
      reject their steps.
    - `long_run_gap`: mean E(held-out data, or else data) - mean E(chains after `long_run` training
      steps' worth of sampling), and `long_run_errors`, that gap in standard errors: a model whose
      long chains leave the data is a sampler of short runs rather than a density. `long_run_rhat`
      of other chains of that length, and `long_run_mixed`, 1 when it is under 1.1; the monitor
      warns while it is 0.

    Of bits and categories `score_norm`, `r_s` and `r_noise` mean nothing and are left out. In their
    place: `flip_rate`, mean share of an event's numbers that a step changes, for kernels that
    report it or with `thin` 1, and `energy_time`, the autocorrelation time of the energy, in steps
    after which it counts as another draw: the kept states over `ess_bulk_energy`, times `thin`.

    The chains begin where samples of the model do, without the data; those of `d_s` where training
    left them. Numbers that can't be computed are left out. Raises ValueError when the run has no
    sampler.

    Source: Vehtari et al. 2021, "Rank-normalization, folding, and localization"; Nijkamp et al.
    2020, "On the anatomy of MCMC-based maximum likelihood learning of energy-based models".

    Args:
        n_chains: Number of chains to follow.
        n_steps: Number of steps of each chain.
        thin: Keep every thin-th state.
        coordinates: How many of an event's first coordinates to analyse.
        long_run: Run chains this many times longer than a training step does; 0 skips it.
    """

    every = "10 epochs"
    metrics: ClassVar = (
        *("rhat_*", "ess_bulk_*", "ess_tail_*", "mcse_*", "d_s", "long_run_*"),
        *("score_norm", "acceptance", "divergences", "implied_temperature"),
        *("r_s", "r_noise", "step_ratio", "flip_rate", "energy_time"),
        *("swap_rate", "lowest_swap_rate", "round_trips"),
    )
    takes_mask = True

    def __init__(
        self,
        *,
        n_chains: PositiveInt = 32,
        n_steps: PositiveInt = 400,
        thin: PositiveInt = 2,
        coordinates: NonNegativeInt = 2,
        long_run: NonNegativeInt = 0,
    ) -> None:
        if thin > n_steps:
            raise ValueError(f"thin should be at most n_steps, {n_steps}; got {thin}")
        super().__init__()
        self.n_chains = n_chains
        self.n_steps = n_steps
        self.thin = thin
        self.coordinates = coordinates
        self.long_run = long_run

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the numbers that can be computed, and the `figure` of the chains' energies."""
        y, mask = labels_for(view, self.n_chains), masks_for(view, self.n_chains)
        trace = view.trace(self.n_chains, self.n_steps, self.thin, y=y, mask=mask)
        x = trace.x  # (kept, chains, *event)
        conditions = [None if own is None else repeated(own, len(x)) for own in (y, mask)]
        energy = energies_at(view, x.flatten(0, 1), *conditions).reshape(x.shape[:2])
        trained = (view.data, view.data_y, view.data_mask)
        others = (view.held_out, view.held_out_y, view.held_out_mask)
        data = others if len(view.held_out) else trained
        of_data = energies_at(view, *subset_with_conditions(view, *data, n=JUDGED))
        numbers = self._convergence(view, x, energy, groups_of(y, mask))
        if is_lattice(view.space):
            numbers |= _flips(trace, self.thin)
            numbers |= _reported(view, trace)
            if numbers.get("ess_bulk_energy", 0) > 0:
                numbers["energy_time"] = energy.numel() / numbers["ess_bulk_energy"] * self.thin
        else:
            numbers |= _steps(view, trace, *conditions)
        if view.x_neg is not None:
            of_trained = energies_at(view, *subset_with_conditions(view, *trained, n=JUDGED))
            samples = energies_at(view, view.x_neg, view.y_neg, view.mask_neg)
            numbers["d_s"] = float(of_trained.mean() - samples.mean())
        if self.long_run and view.n_steps:
            numbers |= self._long_run(view, of_data)
        known = {name: value for name, value in numbers.items() if math.isfinite(value)}
        return {**known, "figure": _plot(view, energy, of_data, self.thin)}

    def _convergence(
        self, view: RunView, x: Tensor, energy: Tensor, groups: Tensor | None
    ) -> dict[str, float]:
        """Return R-hat and effective sample sizes, and warn of chains that do not move at all."""
        flat = x.flatten(2).double().cpu()
        judged: list[tuple[str, Statistic, Tensor]] = [
            ("rhat_energy", rhat, energy),
            ("ess_bulk_energy", ess_bulk, energy),
            ("ess_tail_energy", ess_tail, energy),
            ("mcse_energy", mcse_mean, energy),
        ]
        for i in range(min(self.coordinates, flat.shape[2])):
            judged += [
                (f"rhat_x{i + 1}", rhat, flat[..., i]),
                (f"ess_bulk_x{i + 1}", ess_bulk, flat[..., i]),
                (f"ess_tail_x{i + 1}", ess_tail, flat[..., i]),
                (f"mcse_x{i + 1}", mcse_mean, flat[..., i]),
            ]
        known = {name: by_group(judge, draws, groups) for name, judge, draws in judged}
        if len(x) > 1 and bool((x == x[0]).all()):
            self.warn(
                view,
                "still",
                f"no chain moved at all in {self.n_steps} steps, so R-hat is infinite and not "
                f"recorded. {_STEP if hasattr(view.kernel, 'step_size') else _STUCK}",
            )
        return {
            name: sum(values) if name.startswith("ess") else max(values)
            for name, values in known.items()
            if values
        }

    def _long_run(self, view: RunView, of_data: Tensor) -> dict[str, float]:
        """Return how far the energies of long chains are from the data's."""
        y, mask = labels_for(view, self.n_chains), masks_for(view, self.n_chains)
        x = view.sample(self.n_chains, self.long_run * view.n_steps, y=y, mask=mask)
        energy = energies_at(view, x, y, mask)
        gap = float(of_data.mean() - energy.mean())
        mixing = mixing_of(view, self.long_run * view.n_steps, self.n_chains)
        if mixing.doubtful:
            self.warn(view, "unmixed", mixing.warning("long_run_gap", "long_run"))
        numbers = {"long_run_gap": gap, **mixing.numbers("long_run_")}
        if min(len(energy), len(of_data)) < 2:
            return numbers
        error = math.sqrt(energy.var() / len(energy) + of_data.var() / len(of_data))
        return {**numbers, "long_run_errors": gap / error if error > 0 else math.nan}


def _steps(
    view: RunView, trace: Trace, labels: Tensor | None, masks: Tensor | None
) -> dict[str, float]:
    """Return the diagnostics of single steps: score norm, acceptance, divergences, r_s, T."""
    numbers: dict[str, float] = {}
    at, y, mask = subset_with_conditions(view, trace.x.flatten(0, 1), labels, masks, n=POINTS)
    energy = conditioned(view.energy, y=y, mask=mask)
    if hasattr(trace.info, "score_norm"):
        numbers["score_norm"] = float(trace.info.score_norm.double().mean())
    else:
        scores = energy_and_score(energy, at)[1]
        numbers["score_norm"] = float(scores.flatten(1).norm(dim=1).double().mean())
    numbers |= _reported(view, trace)
    lengths = step_lengths(view.kernel, energy, at, view.generator)
    if lengths is not None:
        numbers |= {"r_s": lengths.gradient, "r_noise": lengths.noise}
        if lengths.noise > 0:
            numbers["step_ratio"] = lengths.gradient / lengths.noise
    return numbers


def _reported(view: RunView, trace: Trace) -> dict[str, float]:
    """Return what the kernel says of its steps and its law."""
    numbers: dict[str, float] = {}
    if hasattr(trace.info, "acceptance"):
        numbers["acceptance"] = float(trace.info.acceptance.double().mean())
    if hasattr(trace.info, "divergent"):
        numbers["divergences"] = float(trace.info.divergent.double().sum())
    if hasattr(trace.info, "swap_rate") and hasattr(trace.info, "round_trips"):
        rates = trace.info.swap_rate.double().mean((0, 1))  # (pairs,)
        numbers |= {"swap_rate": float(rates.mean()), "lowest_swap_rate": float(rates.min())}
        numbers["round_trips"] = float(
            (trace.info.round_trips[-1] - trace.info.round_trips[0]).double().mean()
        )
    temperature = getattr(view.kernel, "implied_temperature", None)
    if temperature is not None:
        numbers["implied_temperature"] = float(temperature)
    return numbers


def _flips(trace: Trace, thin: int) -> dict[str, float]:
    """Return the share of an event's numbers that a step changes, where it is known."""
    if hasattr(trace.info, "changed"):
        return {"flip_rate": float(trace.info.changed.double().mean())}
    if thin > 1 or len(trace.x) < 2:
        return {}
    return {"flip_rate": float((trace.x[1:] != trace.x[:-1]).double().mean())}


def _plot(view: RunView, energy: Tensor, of_data: Tensor, thin: int) -> Figure:
    """Plot the energies of some chains over the steps, (kept, chains), and the data's band."""
    figure = new_figure(view, 7.0, 4.4, "energies of chains")
    axes = figure.add_subplot()
    finite = of_data[of_data.isfinite()]
    if len(finite):
        low, middle, high = (float(finite.quantile(q)) for q in (BAND[0], 0.5, BAND[1]))
        axes.axhspan(low, high, color=DATA, alpha=0.12, label="data, 5 % to 95 %", linewidth=0)
        axes.axhline(middle, color=DATA, linewidth=1.0, linestyle="--", label="data, median")
    steps = (thin * torch.arange(1, len(energy) + 1)).numpy()
    for i in range(min(PLOTTED, energy.shape[1])):
        label = f"{min(PLOTTED, energy.shape[1])} of {energy.shape[1]} chains" if i == 0 else None
        axes.plot(
            steps, energy[:, i].numpy(), color=SAMPLES, alpha=0.55, linewidth=0.8, label=label
        )
    axes.set_xlabel("sampler steps")
    axes.set_ylabel("energy (nats)")
    axes.set_xlim(0, float(steps[-1]))
    settled = torch.cat([finite, energy[len(energy) // 2 :, :PLOTTED].flatten()])
    settled = settled[settled.isfinite()]
    if len(settled):  # chains that come from afar may begin above the picture
        low, high = float(settled.min()), float(settled.max())
        margin = 0.05 * (high - low) or 0.5
        axes.set_ylim(low - margin, high + margin)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure
