"""Gibbs sampling, the heat bath: xᵢ' ~ P(xᵢ | the others) ∝ exp(-E(x)), one number after another.

Exact: each draw leaves exp(-E) invariant, and so does a step, which is `sites` draws in a row.
Source: Geman and Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian
restoration of images"; Glauber 1963 for the scan at random.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, Kernel, PositiveInt, Space, replicated
from ebmcore_discrete.informed import choose, wide
from ebmcore_discrete.state import GibbsInfo, GibbsState, info_of


class Gibbs(Kernel):
    """Gibbs sampling: each number of an event is drawn anew given all the others.

    Samples exp(-E) without a bias, for any energy of binary or categorical events: it is evaluated
    at each of the k values that the number may take. A step draws as many numbers as an event
    has, or `draws`, so it costs k evaluations for each of them, n at once on k·n chains. States of
    infinite energy are never entered; a number all of whose values have infinite energy is drawn
    uniformly.

    Raises ValueError when the events are categories and the space is not given, and for `draws` of
    another scan than random.
    Source: Geman and Geman 1984; at random, Glauber 1963.

    Args:
        scan: systematic draws each number once, in their order; random draws as many, each chosen
            by chance, so that a step is reversible; blocks draws each number once, those that are
            independent given the others at once, for an energy that offers `site_logits(x)`,
            (chains, *event, k), and `independent_sites`, (sets, *event) bool, as ising and potts
            do: one evaluation a set.
        draws: How many numbers a step of `scan: random` draws; by default as many as an event has.
        space: (runtime) The set that events live in; by default binary.
    """

    spaces: ClassVar = (Binary, Categorical)
    implied_temperature = 1.0

    def __init__(
        self,
        scan: Literal["systematic", "random", "blocks"] = "systematic",
        *,
        draws: PositiveInt | None = None,
        space: Space | None = None,
    ) -> None:
        if scan not in ("systematic", "random", "blocks"):
            raise ValueError(f"scan should be systematic, random or blocks; got {scan!r}")
        if draws is not None and scan != "random":
            raise ValueError(f"draws is for scan: random; scan: {scan} draws each number once")
        self.scan = scan
        self.draws = draws
        # each number's draw would compile for a second, so a step stays eager
        self.long_step = scan != "blocks"
        self.values = space.k if isinstance(space, Categorical) else 2
        self.is_categorical = isinstance(space, Categorical)

    def init(self, energy: Energy, x: Tensor) -> GibbsState:
        """Begin at x."""
        if not x.is_floating_point() and not self.is_categorical:
            raise ValueError(
                "gibbs on categories needs to know how many there are: "
                "Gibbs(space=ebmcore.Categorical(k))"
            )
        self.check(energy, x)
        return GibbsState(x)

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError for an energy without the conditionals of `scan: blocks`."""
        if self.scan == "blocks" and not hasattr(energy, "independent_sites"):
            raise ValueError(
                "scan: blocks draws sites that are independent given the others, so the energy "
                "should offer `site_logits` and `independent_sites`, as ising and potts do; "
                f"{type(energy).__name__} doesn't: use scan: systematic"
            )

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw a uniform number for each draw of a step, (chains, draws), and its site at random.

        float64, so that no category is lost to rounding; (chains, draws), int64.
        """
        sites = x[0].numel()
        shape = (len(x), self.draws or sites)
        uniform = torch.rand(shape, generator=generator, device=x.device, dtype=wide(x))
        if self.scan != "random":
            return (uniform,)
        return uniform, torch.randint(
            sites, shape, generator=generator, device=x.device, dtype=torch.int64
        )

    def step(
        self, energy: Energy, state: GibbsState, noise: tuple[Tensor, ...]
    ) -> tuple[GibbsState, GibbsInfo]:
        """Draw numbers one after another, each given all the others."""
        if self.scan == "blocks":
            return self._step_in_blocks(energy, state, noise[0])
        x = state.x.flatten(1)
        uniform, *chosen = noise
        for draw in range(uniform.shape[1]):
            site = chosen[0][:, draw] if chosen else torch.full_like(uniform[:, 0], draw).long()
            law = self.conditional(energy, x.reshape(state.x.shape), site)
            value = choose(law, uniform[:, draw])
            x = x.scatter(1, site[:, None], value[:, None].to(x.dtype))
        x = x.reshape(state.x.shape)
        return GibbsState(x), info_of(state.x, x)

    def _step_in_blocks(
        self, energy: Any, state: GibbsState, uniform: Tensor
    ) -> tuple[GibbsState, GibbsInfo]:
        x, uniform = state.x, uniform.reshape(state.x.shape)
        with torch.no_grad():
            for block in energy.independent_sites:
                logits = energy.site_logits(x).to(wide(x))
                if self.values == 2:  # as softmax, with one exponential in place of two
                    value = uniform >= (logits[..., 0] - logits[..., 1]).sigmoid()
                else:
                    value = choose(logits.softmax(-1), uniform)
                x = torch.where(block, value.to(x.dtype), x)
        return GibbsState(x), info_of(state.x, x)

    def conditional(self, energy: Energy, x: Tensor, site: Tensor) -> Tensor:
        """Return P(xᵢ = value | the others) for each value, i the site of each chain.

        Shapes: x (chains, *event), site (chains,) int64 -> (chains, k).
        """
        n, flat = len(x), x.flatten(1)
        values = torch.arange(self.values, device=x.device).to(x.dtype)
        place = site.repeat_interleave(self.values)[:, None]
        candidates = flat.repeat_interleave(self.values, 0)  # all values of a chain, then the next
        candidates = candidates.scatter(1, place, values.repeat(n)[:, None])
        with torch.no_grad():
            energies = replicated(energy, self.values)(candidates.reshape(-1, *x.shape[1:]))
        if energies.shape != (self.values * n,):
            raise ValueError(
                f"energy must return one value per chain, shape ({self.values * n},); "
                f"got {tuple(energies.shape)}. Sum over the event's dimensions first."
            )
        logits = -energies.reshape(n, self.values).to(wide(x))
        nowhere = (logits == -torch.inf).all(1, keepdim=True)
        return torch.where(nowhere, 0.0, logits).softmax(1)
