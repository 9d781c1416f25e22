"""Parallel tempering: replicas of a chain at rising temperatures, whose neighbours swap.

Replica k moves by a kernel on E/T_k; then every second pair of neighbours may swap (`swaps.py`).
The joint law Π_k exp(-E(x_k)/T_k) stays invariant if the kernel leaves each of its factors so. The
hot replicas cross from mode to mode, and swaps bring that down to x, which is at T_0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import (
    AtTemperature,
    Binary,
    Carried,
    Categorical,
    Energy,
    Kernel,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Real,
    Space,
    init_state,
    replicated,
)
from ebmcore_tempering.checks import refuse_unfit
from ebmcore_tempering.ladder import adapted, first_spacing, temperatures_of
from ebmcore_tempering.round_trips import begun, moved
from ebmcore_tempering.state import AdjustedTemperingInfo, TemperingInfo, held, state_type
from ebmcore_tempering.swaps import swap


class ParallelTempering(Kernel):
    """Parallel tempering of any kernel: chains that cross from mode to mode by way of hot replicas.

    Samples exp(-E/T_0), T_0 the first of `temperatures`, as its kernel does, with its bias if it
    has one: of events of any space that the kernel moves in. Each chain has a replica at each
    temperature; x is the coldest. One step is `swap_every` steps of the kernel, for all replicas of
    all chains in one batch, and one round of swaps: of K replicas K · swap_every steps of the
    kernel, K evaluations of the energy, and of a kernel that keeps a score at x K more.

    Chains that remember (`chains: persistent`) keep their replicas, what the kernel carries of
    each, and the ladder from one training step to the next, so that short runs are one long run. A
    chain that begins anew has all its replicas where it begins: until they have spread, swaps bring
    it nothing new. Where runs are short and chains don't remember, tempering is of little use.

    The ladder adapts to equal swap rates by steps that vanish, pooled over the chains of a batch;
    while it adapts, the law is invariant in the limit of many steps alone. A batch takes the ladder
    of that one of its chains which has adapted longest.

    The info is of each chain: the `energy` of x, the `swap_rate` of each pair, the `temperature` of
    each replica, and the `round_trips` of replicas from x to the hottest and back. With rates near
    0, take more temperatures; with round trips near 0 in a long run, a hotter last one.

    Raises ValueError when the temperatures don't rise, and when the kernel has a law that isn't
    known, another temperature than 1, no steps of its own, or what it draws in `init` is lost.
    Source: Swendsen and Wang 1986; Geyer 1991; Syed et al. 2022, "Non-reversible parallel
    tempering: a scalable highly parallel MCMC scheme", JRSS B 84.

    Args:
        kernel: The kernel of each replica, such as `mala` or `gibbs`; its keys in units of x (a
            step size) hold at temperature 1.
        temperatures: T of each replica, from that of x, 1 for exp(-E), to the hottest; the ones
            between are where the ladder begins to adapt.
        swap_every: How many steps the kernel takes between swaps.
        warm_up: The number of steps after which the ladder stays as it is; 0: it doesn't adapt;
            null: it adapts always, by steps that vanish.
        rescale: Whether the kernel of real events runs on x/√T, so that its steps grow with the
            temperature: a Langevin step size as T, one in units of x as √T.
    """

    # in a config; once built, those of its kernel
    spaces: ClassVar[tuple[type[Space], ...]] = (Real, Binary, Categorical)
    check_params: ClassVar[dict[str, object]] = {"kernel": {"type": "mala"}, "warm_up": 0}

    def __init__(
        self,
        kernel: Kernel,
        *,
        temperatures: Sequence[PositiveFloat] = (1.0, 2.0, 4.0, 8.0),
        swap_every: PositiveInt = 1,
        warm_up: NonNegativeInt | None = None,
        rescale: bool = True,
    ) -> None:
        refuse_unfit(kernel)
        self.first = first_spacing(temperatures)
        self.kernel = kernel
        self.temperatures = [float(t) for t in temperatures]
        self.replicas = len(self.temperatures)
        self.swap_every = swap_every
        self.warm_up = warm_up
        self.spaces = getattr(kernel, "spaces", (Real,))  # type: ignore[misc]
        self.rescale = rescale and self.spaces == (Real,)
        self.steps_per_graph = max(1, 4 // swap_every)  # compiling more takes minutes
        self.long_step = getattr(kernel, "long_step", False)
        self.implied_temperature = self.temperatures[0]
        self.fields = tuple(getattr(kernel, "carries", ()))
        ladder = () if warm_up == 0 else ("log_spacing",)
        self.carries = (
            *("hot", "steps", *ladder, "phase", "round_trips"),
            *(held(name) for name in self.fields),
        )
        self.state: Any = state_type(self.fields)

    def stationary_variance(self, scale: float) -> float | None:
        """Return T_0 s², the variance of its samples on E(x) = x²/(2s²), s = scale.

        None of a kernel with a bias, and while the ladder adapts. Replicas that begin at draws of
        exp(-E/T_0) forget it soon on Gaussians, but not on other energies.
        """
        exact = getattr(self.kernel, "unbiased", False) and self.warm_up == 0
        return self.temperatures[0] * scale**2 if exact else None

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError for an energy that its kernel can't move on at a temperature."""
        if hasattr(self.kernel, "check"):
            self.kernel.check(AtTemperature(energy, None, None), x)

    def init(self, energy: Energy, x: Tensor, generator: Generator | None, carried: Carried) -> Any:
        """Begin at x with the replicas that the chains carry, or with all of them at x."""
        n, pairs = len(x), self.replicas - 1
        hot = carried.or_new("hot", x[:, None].expand(n, pairs, *x.shape[1:]))
        zeros = torch.zeros(n, dtype=torch.int64, device=x.device)
        seen = carried.or_new("steps", zeros)
        steps = seen.amax(0).expand(n)
        first = torch.tensor(self.first, dtype=_float(x)).to(x.device, non_blocking=True)
        log_spacing = first.expand(n, pairs)
        if self.warm_up != 0:
            own = carried.or_new("log_spacing", log_spacing)
            oldest = (seen == steps)[:, None]
            log_spacing = torch.where(oldest, own, -torch.inf).amax(0).expand(n, pairs)
        phase = carried.or_new("phase", begun(x, self.replicas))
        trips = carried.or_new("round_trips", zeros)
        rows = self._begun(energy, x, hot, log_spacing, generator, carried) if self.fields else []
        return self.state(x, hot, steps, log_spacing, phase, trips, *rows)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw the kernel's noise for all replicas, and a uniform number for each pair.

        Shapes: the kernel's own with (chains, replicas) in place of its chains, swap_every times.
        """
        n, k = len(x), self.replicas
        every = x.repeat_interleave(k, 0)
        drawn = [p for _ in range(self.swap_every) for p in self.kernel.noise(every, generator)]
        each = [p.reshape(n, k, *p.shape[1:]) if p.shape[:1] == (n * k,) else p for p in drawn]
        shape = (n, k - 1)
        uniform = torch.rand(shape, generator=generator, device=x.device, dtype=_float(x))
        return uniform, *each

    def step(self, energy: Energy, state: Any, noise: tuple[Tensor, ...]) -> tuple[Any, Any]:
        """Move all replicas, and swap every second pair of neighbours."""
        n, k = len(state.x), self.replicas
        each = replicated(energy, k)
        temperature = self._temperatures(state.log_spacing)
        law, scale = self._law(each, temperature, state.x)
        x = torch.cat([state.x[:, None], state.hot], 1).flatten(0, 1)
        rows = {name: getattr(state, held(name)).flatten(0, 1) for name in self.fields}
        inner = init_state(
            self.kernel, law, x / scale if self.rescale else x, carried=Carried(rows, None)
        )
        uniform, *parts = noise
        size = len(parts) // self.swap_every
        info = None
        for i in range(self.swap_every):
            drawn = (_rows(part, n, k) for part in parts[i * size : (i + 1) * size])
            inner, info = self.kernel.step(law, inner, tuple(drawn))
        x = inner.x * scale if self.rescale else inner.x
        with torch.no_grad():
            energies = each(x).view(n, k)
            swapped = swap(energies, 1 / temperature, state.steps, uniform)
        source = (swapped.source + k * torch.arange(n, device=x.device)[:, None]).flatten()
        x = x.index_select(0, source).unflatten(0, (n, k))
        trips = moved(state.phase, swapped.source)
        done = state.round_trips + trips.completed
        end = state._replace(
            x=x[:, 0],
            hot=x[:, 1:],
            steps=state.steps + 1,
            log_spacing=self._adapted(state, swapped.rates),
            phase=trips.phase,
            round_trips=done,
            **{
                held(name): getattr(inner, name).index_select(0, source).unflatten(0, (n, k))
                for name in self.fields
            },
        )
        cold = energies.gather(1, swapped.source)[:, 0]
        own = TemperingInfo(cold, swapped.rates, temperature, done)
        kept = getattr(info, "acceptance", None)
        return end, own if kept is None else AdjustedTemperingInfo(*own, kept.view(n, k)[:, 0])

    def _adapted(self, state: Any, rates: Tensor) -> Tensor:
        spacing: Tensor = state.log_spacing
        if self.warm_up == 0:
            return spacing
        new = adapted(spacing, rates, state.steps)
        if self.warm_up is None:
            return new
        return torch.where((state.steps < self.warm_up)[:, None], new, spacing)

    def _temperatures(self, log_spacing: Tensor) -> Tensor:
        """Return the ladder, (chains, pairs) -> (chains, replicas), the same for all chains."""
        ends = self.temperatures[0], self.temperatures[-1]
        return temperatures_of(log_spacing[:1], *ends).expand(len(log_spacing), -1)

    def _law(self, each: Energy, temperature: Tensor, x: Tensor) -> tuple[AtTemperature, Tensor]:
        """Return E(r z)/T of all replicas, and r in the shape of z."""
        flat = temperature.flatten()
        scale = flat.sqrt().to(x)
        law = AtTemperature(each, 1 / flat, scale if self.rescale else None)
        return law, scale.view(-1, *(1 for _ in x.shape[1:]))

    def _begun(
        self,
        energy: Energy,
        x: Tensor,
        hot: Tensor,
        log_spacing: Tensor,
        generator: Generator | None,
        carried: Carried,
    ) -> list[Tensor]:
        """Return what the kernel carries of each replica, (chains, replicas, …) each."""
        n, k = len(x), self.replicas
        law, scale = self._law(replicated(energy, k), self._temperatures(log_spacing), x)
        z = torch.cat([x[:, None], hot], 1).flatten(0, 1)
        z = z / scale if self.rescale else z
        rows = {
            name: carried.fields[held(name)].flatten(0, 1)
            for name in self.fields
            if held(name) in carried.fields
        }
        fresh = None if carried.fresh is None else carried.fresh.repeat_interleave(k, 0)
        state: Any = init_state(
            self.kernel, law, z, generator=generator, carried=Carried(rows, fresh)
        )
        return [getattr(state, name).unflatten(0, (n, k)) for name in self.fields]


def _rows(part: Tensor, n: int, k: int) -> Tensor:
    return part.flatten(0, 1) if part.shape[:2] == (n, k) else part


def _float(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()
