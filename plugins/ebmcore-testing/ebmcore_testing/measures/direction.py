"""The checks of where a loss's gradient leads: over many batches, at a declared level.

The model is a Gaussian; in a space of finitely many events, one whose law over them is summed.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore.config import loss_slots
from ebmcore.sampling import Sampler, StartFunction
from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.measures.enumerated import Coupled, Enumerated
from ebmcore_testing.measures.lattice import AllEvents
from ebmcore_testing.measures.models import Descent, ExactKernel, Gaussian
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.statistics import LEVEL, T_63, student
from ebmcore_testing.suites.suite import Suite

_BATCHES, _BATCH = 64, 256
_MEAN, _SCALE = 0.5, 0.7  # of the data: where no parameter of the model is 0


class DirectionChecks(Suite):
    """Checks of a loss on a Gaussian model, whose best fit is known."""

    kind = "loss"
    regulariser: bool | None = None

    def fitted_scale(self, scale: float) -> float | None:
        """Return the model's scale at which the expected gradient is zero."""
        target = type(self).target()
        known = getattr(self.build(), "fitted_scale", None)
        known = known or (
            None if inspect.isclass(target) else getattr(target, "fitted_scale", None)
        )
        return known(scale) if known else scale

    def value(self, energy: Any, x: Tensor, x_neg: Tensor, seed: int = 0, loss: Any = None) -> Any:
        """Call the loss with the slots that it names."""
        loss = self.build() if loss is None else loss
        networks = self.beside(tuple(x.shape[1:]))
        make = self.declared("check_chains", of=loss)
        known = self.given("check_energy") is None
        slots = {
            "energy": energy,
            "x": x,
            "x_neg": x_neg,
            "y": torch.arange(len(x)) % 2,
            "y_neg": torch.arange(len(x_neg)) % 2,
            "mask": torch.ones(x.shape[:2], dtype=torch.bool),
            "mask_neg": torch.ones(x_neg.shape[:2], dtype=torch.bool),
            "step": 1,
            "sampler": Sampler(ExactKernel() if known else Descent(), 1),
            "chains": make(x) if make else StartFunction(lambda x, generator: x.clone()),
            "generator": seeded(seed),
            "networks": networks,
            **networks,
        }
        rows = self.rows(len(x), tuple(x.shape[1:]), seed=1)
        slots |= {name: value for name, value in rows.items() if name not in ("x", "x_neg")}
        return loss(**{name: slots[name] for name in loss_slots(loss, networks)})

    def scalar(self, *arguments: Any, **options: Any) -> Tensor:
        """Call the loss; return its value without what it logs."""
        found = self.value(*arguments, **options)
        value: Tensor = found[0] if isinstance(found, tuple) else found
        return value

    def test_zero_at_truth(self) -> None:
        """The expected gradient is zero where data and model are the same law.

        Level: each of at most 9 parameters is rejected wrongly once in a million times.
        """
        scale = self._fitted()
        if self.is_discrete():
            self._require_zero_over_events()
            return
        deviation = self._student(scale, _MEAN)
        require(
            bool((deviation.abs() <= T_63).all()),
            "zero_at_truth",
            expected=f"an expected gradient of zero at a Gaussian model of scale {scale:.4g}, for "
            f"data of scale {_SCALE} and the same mean",
            measured=f"{float(deviation.abs().max()):.1f} standard errors from zero",
            allowed=f"{T_63:.1f} (level {LEVEL:g}, {_BATCHES} batches of {_BATCH})",
            cause="denoising score matching with the sign of the noise lost, score matching "
            "without the Hessian's trace; another law than the data's declares fitted_scale",
        )

    def test_leads_to_data(self) -> None:
        """Descending the gradient brings a wrong mean and a wrong scale nearer to the data's.

        In a space of finitely many events, it does so with parameters that are wrong together.
        """
        scale = self._fitted()
        if self.is_discrete():
            self._require_way_back_over_events()
            return
        wide, narrow, off = (
            self._student(scale * factor, mean)
            for factor, mean in ((1.4, _MEAN), (1 / 1.4, _MEAN), (1.0, _MEAN + 1))
        )
        steps = {  # Student's t of the gradient, with the sign that leads back as the positive one
            "a model that is too wide narrows": wide[-1],
            "a model that is too narrow widens": -narrow[-1],
            "a mean that is too high falls": off[:-1].mean(),
        }
        for what, t in steps.items():
            require(
                float(t) > T_63,
                "leads_to_data",
                expected=what,
                measured=f"a gradient of {float(t):+.1f} standard errors that way",
                allowed=f"more than {T_63:.1f}",
                cause="the whole loss has the wrong sign: E(x_neg) - E(x) for E(x) - E(x_neg); or "
                "the energies' graph is cut by a detach",
            )

    def _require_zero_over_events(self) -> None:
        deviation = self._student_over_events(Coupled(self.shapes()[0]))
        require(
            bool((deviation.abs() <= T_63).all()),
            "zero_at_truth",
            expected="an expected gradient of zero at the law of the data, over all events",
            measured=f"{float(deviation.abs().max()):.1f} standard errors from zero",
            allowed=f"{T_63:.1f} (level {LEVEL:g}, {_BATCHES} batches of {_BATCH})",
            cause="a neighbour or a conditional of another event, or a ratio upside down; another "
            "law than the data's declares fitted_scale",
        )

    def _require_way_back_over_events(self) -> None:
        for sign in (1, -1):
            wrong = Coupled(self.shapes()[0])
            away = [sign * 0.5 * torch.ones_like(part) for part in wrong.parameters()]
            with torch.no_grad():
                for part, step in zip(wrong.parameters(), away, strict=True):
                    part.add_(step)
            t = float(self._student_over_events(wrong, torch.cat([s.flatten() for s in away])))
            require(
                t > T_63,
                "leads_to_data",
                expected=f"parameters that are all {sign * 0.5:+g} too high come back",
                measured=f"a gradient of {t:+.1f} standard errors that way",
                allowed=f"more than {T_63:.1f}",
                cause="the whole loss has the wrong sign, or the energies' graph is cut by a "
                "detach",
            )

    def _student_over_events(self, energy: Coupled, way: Tensor | None = None) -> Tensor:
        """Return Student's t of the mean gradient, (parameters,), or along a way, ()."""
        shape = self.shapes()[0]
        events = AllEvents(self.space(), shape)
        data, model = Enumerated(Coupled(shape), events), Enumerated(energy, events)
        loss, generator, rows = self.build(), seeded(11), []
        for batch in range(_BATCHES):
            x, x_neg = (law.draw(_BATCH, generator) for law in (data, model))
            value = self.scalar(energy, x, x_neg, seed=100 + batch, loss=loss)
            parts = torch.autograd.grad(value, list(energy.parameters()), materialize_grads=True)
            gradient = torch.cat([part.flatten() for part in parts])
            rows.append(gradient if way is None else (gradient * way).sum()[None])
        found = student(torch.stack(rows))
        return found if way is None else found[0]

    def _fitted(self) -> float:
        for name in ("check_energy", "check_batch"):
            if self.given(name) is not None:
                raise NotApplicable(f"it is checked with its own {name}: no best fit is known")
        loss = self.build()
        trains = self.declared("trains", "energy", of=loss)
        if "energy" not in ((trains,) if isinstance(trains, str) else trains):
            raise NotApplicable(f"it trains {trains!r}, not the energy")
        if self.declared("regulariser", False, of=loss):
            raise NotApplicable("declared a regulariser: it leads to no data")
        if isinstance(loss, nn.Module) and any(True for _ in loss.parameters()):
            raise NotApplicable("it has parameters of its own, and their best values aren't known")
        scale = self.fitted_scale(_SCALE)
        if scale is None:
            raise NotApplicable("the model that it fits isn't known: fitted_scale")
        return scale

    def _student(self, scale: float, mean: float) -> Tensor:
        """Return Student's t of the mean gradient, w.r.t. each of the mean, then the log scale."""
        shape = self.shapes()[0]
        energy = Gaussian(shape, scale, mean).double()
        loss, generator = self.build(), seeded(11)
        rows = []
        for batch in range(_BATCHES):
            noise = torch.randn((_BATCH, *shape), generator=generator, dtype=torch.float64)
            x, x_neg = _MEAN + _SCALE * noise, energy.draw(_BATCH, generator)
            value = self.scalar(energy, x, x_neg, seed=100 + batch, loss=loss)
            parts = torch.autograd.grad(value, list(energy.parameters()), materialize_grads=True)
            rows.append(torch.cat([part.flatten() for part in parts]))
        return student(torch.stack(rows))
