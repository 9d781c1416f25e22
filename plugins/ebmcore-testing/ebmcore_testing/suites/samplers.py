"""The suite of samplers: what a sampler may touch, and the law that it leaves unchanged.

What a sampler, or its suite, may declare beside what `suite.py` lists:

    stationary_variance(scale)   the variance of its own law on E(x) = x²/(2 scale²), its bias
                                 included; inf where it has no law (a step too large), None where
                                 its author doesn't know; then `unknown_law` must say why. Without
                                 it: scale², that is, no bias.
    unknown_law                  why its law isn't known, such as "its scores are clipped"
    transition_matrix(energy, x) in a space of finitely many events: the probabilities of one step
                                 from each of all events x to each, for a sampler with a bias or one
                                 whose proposals are to be compared with a formula, too
    unbiased                     True beside stationary_variance: no bias on any energy, so that it
                                 is compared on two wells, too
    n_steps                      steps of the exact-invariance test, 20 by default
    spaces                       where it moves; without Real among them it is tried in the first,
                                 on a law of finitely many events; or declare check_space

It is tried on Gaussians, and compared with their law; with `check_energy`, on that alone, and
compared with its `sample(n, generator)`, if it has that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore.sampling import evaluating
from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.measures.compiled import compiled_step
from ebmcore_testing.measures.models import Overflowing
from ebmcore_testing.measures.observed import (
    module_untouched,
    seeded,
    streams_untouched,
    tensors_untouched,
)
from ebmcore_testing.measures.sampler.calls import chain_axes, reordered
from ebmcore_testing.measures.sampler.carried import CarriedChecks
from ebmcore_testing.measures.sampler.purity import PurityChecks
from ebmcore_testing.measures.sampler.temperature import TemperatureChecks
from ebmcore_testing.measures.sampler.transitions import TransitionChecks


class SamplerSuite(PurityChecks, CarriedChecks, TransitionChecks, TemperatureChecks):
    """The checks of a sampler."""

    def test_shape(self) -> None:
        """Chains keep their shape, dtype and device, and carry no graph."""
        for shape in self.shapes():
            for dtype in (torch.float32, torch.float64):
                x = self.events(5, shape, dtype=dtype)
                end = self.go(self.energy(shape, dtype=dtype).eval(), x, 2, seeded(1)).x
                found = f"shape {tuple(end.shape)}, {end.dtype}"
                require(
                    end.shape == x.shape and end.dtype == x.dtype and not end.requires_grad,
                    "shape",
                    expected=f"chains of shape {tuple(x.shape)}, {x.dtype}, without a graph",
                    measured=found + (", with a graph" if end.requires_grad else ""),
                    allowed="nothing else",
                    cause="noise drawn without dtype=x.dtype, or a gradient taken without detach",
                )

    def test_energy_untouched(self) -> None:
        """The energy's parameters gather no gradient, and its modes come back."""
        energy, x = self.moved()
        if self.given("check_energy") is None:
            energy.train()
            next(energy.children()).eval()  # a mode of its own
        cause = "backward() in place of torch.autograd.grad(…, x), or energy.eval() or train()"
        with module_untouched("energy_untouched", energy, cause):
            self.go(energy, x, 3, seeded(1))

    def test_input_untouched(self) -> None:
        """The caller's x is never written to."""
        energy, x = self.moved()
        with tensors_untouched("input_untouched", {"x": x}):
            self.go(energy, x, 3, seeded(1))

    def test_global_stream_untouched(self) -> None:
        """All randomness comes from the generator."""
        energy, x = self.moved()
        kernel = self.sampler()
        with streams_untouched("global_stream_untouched"):
            self.go(energy, x, 3, seeded(1), kernel)

    def test_reproducible(self) -> None:
        """The same generator's seed moves the chains to the same places, bit for bit."""
        energy, x = self.moved()
        ends = [self.go(energy, x, 3, seeded(1)).x for _ in range(2)]
        require(
            torch.equal(*ends),
            "reproducible",
            expected="the same ends from the same x and a generator of the same seed",
            measured=f"a difference of {float((ends[0] - ends[1]).abs().max()):.3g}",
            allowed="0",
            cause="noise that is not drawn with generator=generator",
        )

    def test_chains_independent(self) -> None:
        """Where a chain goes doesn't depend on the others, nor on its place in the batch."""
        shape = self.shapes()[0]
        energy, kernel = self.energy(shape).eval(), self.sampler()
        x, other = (self.events(6, shape, seed=seed) for seed in (1, 2))
        other = other if self.is_discrete() else 2 * other
        other[0] = x[0]
        first, second = (self.go(energy, at, 3, seeded(3)).x[0] for at in (x, other))
        cause = "a step size, an acceptance or a normalisation that is shared by the batch"
        expected = "a chain goes the same way, whatever the others do"
        require_close(
            "chains_independent", second, first, expected=expected, cause=cause, tolerance=1e-12
        )
        if hasattr(kernel, "sample"):
            return
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        noise = kernel.noise(x, seeded(4))
        state = self.begin(kernel, energy, x)
        fewer = self.begin(kernel, energy, x[:-1]), kernel.noise(x[:-1], seeded(4))
        there, permuted = (
            reordered(parts, chain_axes(parts, one_less), order)
            for parts, one_less in zip((state, noise), fewer, strict=True)
        )
        end = kernel.step(energy, state, noise)[0].x[order]
        moved = kernel.step(energy, type(state)(*there), permuted)[0].x
        expected = "chains and noise in another order end in that order"
        require_close(
            "chains_independent", moved, end, expected=expected, cause=cause, tolerance=1e-12
        )

    def test_compiled(self) -> None:
        """A step that torch.compile takes as one graph ends where the eager one does."""
        kernel = self.sampler()
        if hasattr(kernel, "sample"):
            raise NotApplicable("it offers `sample` whole, so no step of it can be compiled")
        if getattr(kernel, "waits", ""):
            raise NotApplicable(f"a step that waits for its device is no one graph: {kernel.waits}")
        energy, x = self.moved(6)
        with evaluating(energy):
            state, noise = self.begin(kernel, energy, x), kernel.noise(x, seeded(2))
            eager = kernel.step(energy, state, noise)[0]
            compiled = compiled_step(kernel, energy, state, noise)
        for name, a, b in zip(type(eager)._fields, compiled, eager, strict=True):
            require_close(
                "compiled",
                a,
                b,
                expected=f"the same state.{name} from the compiled step as from the eager one",
                cause="a branch, a draw or a write in `step` that tracing sees only once",
                tolerance=1e-10,
            )

    def test_infinite_energy(self) -> None:
        """An infinite energy is an error or is seen; it doesn't spread, and nothing is made up."""
        if self.is_discrete():
            raise NotApplicable("no event of its space has an infinite energy")
        own = self.given("check_energy") is not None
        shape = self.shapes()[0]
        energy = Overflowing(self.energy(shape) if own else None).eval()
        x = self.events(6, shape)
        healthy = self.go(energy, x, 1, seeded(1)).x
        energy.differentiated = False
        sick = x.clone()
        sick[0] = 100.0
        try:
            end, info = self.go(energy, sick, 1, seeded(1))
        except (ArithmeticError, ValueError) as error:
            self._require_clear(error)
            return
        finite = end[1:].isfinite().all() and torch.allclose(end[1:], healthy[1:], atol=1e-9)
        require(
            bool(finite),
            "infinite_energy",
            expected="the chains whose energies are finite go on as if nothing had happened",
            measured="another chain's infinity reached them",
            allowed="no change of theirs",
            cause="a mean or a sum over the batch: inf - inf is NaN for all",
        )
        seen = [end[0], energy(end[:1]), *(part[0] for part in info or () if _is_float(part))]
        stayed, renewed = end[0] == sick[0], end[0] == healthy[0]
        left = not energy.differentiated  # by a proposal or an exact draw, for which ∞ is no NaN
        require(
            left
            or bool((stayed | renewed).all())
            or any(not bool(part.isfinite().all()) for part in seen),
            "infinite_energy",
            expected="a chain at an infinite energy raises, stays (rejected), is drawn anew, or "
            "shows it in its position, its energy or the info",
            measured=f"it moved to {end[0].flatten()[:3].tolist()}, as if it had been well",
            allowed="nothing that hides it",
            cause="nan_to_num, or a clamp that turns NaN into a number: a run then trains on it",
        )

    def _require_clear(self, error: Exception) -> None:
        text = str(error).lower()
        require(
            any(word in text for word in ("inf", "finite", "nan", "diverge")),
            "infinite_energy",
            expected="an error that says that the energy was not finite",
            measured=f"{type(error).__name__}: {error}",
            allowed="a message that names it",
            cause="an error that comes of it much later, from another place",
        )


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.is_floating_point()
