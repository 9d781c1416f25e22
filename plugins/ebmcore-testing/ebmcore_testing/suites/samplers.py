"""The suite of samplers: what a sampler may touch, and the law that it leaves unchanged.

What a sampler, or its suite, may declare beside what `suite.py` lists:

    stationary_variance(scale)   the variance of its own law on E(x) = x²/(2 scale²), its bias
                                 included; inf where it has no law (a step too large), None where
                                 its author doesn't know. Without it: scale², that is, no bias.
    n_steps                      steps of the exact-invariance test, 20 by default
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore.sampling import evaluating, init_state
from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.measures.compiled import compiled_step
from ebmcore_testing.measures.models import Gaussian, Overflowing
from ebmcore_testing.measures.observed import (
    module_untouched,
    seeded,
    streams_untouched,
    tensors_untouched,
)
from ebmcore_testing.measures.stationary import StationaryChecks

_WIDE = 1e4  # a scale beside which any step is small


class SamplerSuite(StationaryChecks):
    """The checks of a sampler."""

    def test_shape(self) -> None:
        """Chains keep their shape, dtype and device, and carry no graph."""
        for shape in self.shapes():
            for dtype in (torch.float32, torch.float64):
                x = self.events(5, shape, dtype=dtype)
                end = self.go(Gaussian(shape).to(dtype).eval(), x, 2, seeded(1)).x
                found = f"shape {tuple(end.shape)}, {end.dtype}"
                require(
                    end.shape == x.shape and end.dtype == dtype and not end.requires_grad,
                    "shape",
                    expected=f"chains of shape {tuple(x.shape)}, {dtype}, without a graph",
                    measured=found + (", with a graph" if end.requires_grad else ""),
                    allowed="nothing else",
                    cause="noise drawn without dtype=x.dtype, or a gradient taken without detach",
                )

    def test_temperature(self) -> None:
        """`implied_temperature` is that of its law: T s² on a Gaussian of a large scale s."""
        stated = getattr(self.sampler(), "implied_temperature", None)
        if stated is None:
            raise NotApplicable("it doesn't say its implied_temperature")
        variance = self.stationary_variance(_WIDE)
        if variance is None:
            raise NotApplicable("its law on a Gaussian is not known: stationary_variance")
        require(
            abs(variance / _WIDE**2 - stated) <= 1e-3 * max(1.0, stated),
            "temperature",
            expected=f"a law of variance T s², T = {stated:.6g}, where a step is small beside s",
            measured=f"T = {variance / _WIDE**2:.6g}",
            allowed="1e-3 of it",
            cause="noise of another size than √(2ηT) for a step of η∇E: a temperature of its own, "
            "σ²/(2η)",
        )

    def test_energy_untouched(self) -> None:
        """The energy's parameters gather no gradient, and its modes come back."""
        energy = Gaussian(self.shapes()[0]).double()
        energy.part.eval()  # a mode of its own
        x = self.events(5, self.shapes()[0])
        cause = "backward() in place of torch.autograd.grad(…, x), or energy.eval() or train()"
        with module_untouched("energy_untouched", energy, cause):
            self.go(energy, x, 3, seeded(1))

    def test_input_untouched(self) -> None:
        """The caller's x is never written to."""
        x = self.events(5, self.shapes()[0])
        with tensors_untouched("input_untouched", {"x": x}):
            self.go(Gaussian(self.shapes()[0]).double(), x, 3, seeded(1))

    def test_global_stream_untouched(self) -> None:
        """All randomness comes from the generator."""
        x = self.events(5, self.shapes()[0])
        kernel = self.sampler()
        with streams_untouched("global_stream_untouched"):
            self.go(Gaussian(self.shapes()[0]).double(), x, 3, seeded(1), kernel)

    def test_reproducible(self) -> None:
        """The same generator's seed moves the chains to the same places, bit for bit."""
        shape = self.shapes()[0]
        x = self.events(5, shape)
        ends = [self.go(Gaussian(shape).double(), x, 3, seeded(1)).x for _ in range(2)]
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
        energy, kernel = Gaussian(shape).double(), self.sampler()
        x, other = self.events(6, shape, seed=1), 2 * self.events(6, shape, seed=2)
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
        permuted = tuple(part[order] if part.shape[:1] == (6,) else part for part in noise)
        state = init_state(kernel, energy, x, generator=seeded(5))
        end = kernel.step(energy, state, noise)[0].x[order]
        moved = kernel.step(energy, type(state)(*(part[order] for part in state)), permuted)[0].x
        expected = "chains and noise in another order end in that order"
        require_close(
            "chains_independent", moved, end, expected=expected, cause=cause, tolerance=1e-12
        )

    def test_compiled(self) -> None:
        """A step that torch.compile takes as one graph ends where the eager one does."""
        kernel, shape = self.sampler(), self.shapes()[0]
        if hasattr(kernel, "sample"):
            raise NotApplicable("it offers `sample` whole, so no step of it can be compiled")
        energy, x = Gaussian(shape).double().eval(), self.events(6, shape)
        with evaluating(energy):
            state = init_state(kernel, energy, x, generator=seeded(3))
            noise = kernel.noise(x, seeded(2))
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
        shape = self.shapes()[0]
        energy = Overflowing()
        x = self.events(6, shape)
        healthy = self.go(energy, x, 1, seeded(1)).x[1:]
        sick = x.clone()
        sick[0] = 100.0
        try:
            end, info = self.go(energy, sick, 1, seeded(1))
        except (ArithmeticError, ValueError) as error:
            self._require_clear(error)
            return
        finite = end[1:].isfinite().all() and torch.allclose(end[1:], healthy, atol=1e-9)
        require(
            bool(finite),
            "infinite_energy",
            expected="the chains whose energies are finite go on as if nothing had happened",
            measured="another chain's infinity reached them",
            allowed="no change of theirs",
            cause="a mean or a sum over the batch: inf - inf is NaN for all",
        )
        seen = [end[0], energy(end[:1]), *(part[0] for part in info or () if _is_float(part))]
        stayed = torch.equal(end[0], sick[0])
        require(
            stayed or any(not bool(part.isfinite().all()) for part in seen),
            "infinite_energy",
            expected="a chain at an infinite energy raises, stays (rejected), or can be seen in "
            "its position, its energy or the info",
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
