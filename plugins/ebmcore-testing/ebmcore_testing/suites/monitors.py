"""The suite of monitors: they look, and return what can be recorded or drawn.

They are tried on a Gaussian energy in evaluation mode, with data, held-out data, samples and a
dataset that knows its law. What a monitor, or its suite, may declare beside what `suite.py` lists:

    check_energy   the energy to look at, for a monitor that looks inside one
    check_batch    the data that it sees: its events, and their labels if it returns (x, y)
"""

from __future__ import annotations

import io
import math
import numbers
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ebmcore import RunView, Trace
from ebmcore.config import Cadence, declared_metrics
from ebmcore_testing.failures import require
from ebmcore_testing.measures.models import ExactSampler, Gaussian, Normal
from ebmcore_testing.measures.observed import (
    module_untouched,
    seeded,
    streams_untouched,
    tensors_untouched,
)
from ebmcore_testing.suites.suite import Suite


class MonitorSuite(Suite):
    """The checks of a monitor."""

    kind = "monitor"

    def view(self, shape: tuple[int, ...], energy: nn.Module | None = None) -> RunView:
        """Return what a run would show the monitor; override it for one that needs more."""
        energy = energy or self.looked_at(shape)
        data, held_out = (
            self.rows(n, shape, seed=seed, dtype=torch.float32) for n, seed in ((400, 0), (100, 1))
        )
        x, y = data["x"], data.get("y")
        generator = seeded(5)
        size = torch.Size(shape).numel()
        labels: dict[str, Any] = {"data_y": y, "held_out_y": held_out.get("y")}
        labels |= {"data_mask": data.get("mask"), "held_out_mask": held_out.get("mask")}
        return RunView(
            energy=energy,
            data=x,
            held_out=held_out["x"],
            generator=seeded(6),
            step=30,
            epoch=1.0,
            dataset=Normal(size / 2 * math.log(2 * math.pi * math.e), x),
            bounds=torch.stack([x.amin(0), x.amax(0)]),
            x=x[:64].clone(),
            x_neg=self._draw(64, shape, seeded(7)),
            gradients={name: torch.ones_like(p) for name, p in energy.named_parameters()},
            history={"loss": [(10, 0.3), (20, 0.1), (30, -0.1)]},
            kernel=ExactSampler(),
            draw=lambda n, n_steps: self._draw(n, shape, generator),
            walk=lambda n, n_steps, thin, **begin: Trace(
                torch.stack([self._draw(n, shape, generator) for _ in range(n_steps // thin)]),
                None,
            ),
            reader=_read,
            warn=lambda text: None,
            **{name: labels[name] for name in labels if name in RunView.__dataclass_fields__},
        )

    def looked_at(self, shape: tuple[int, ...]) -> nn.Module:
        """Return the energy that the monitor looks at, in evaluation mode."""
        if self.given("check_energy") is not None:
            return self.energy(shape, dtype=torch.float32).eval()
        return Gaussian(shape, scale=1.1).eval()

    def _draw(self, n: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw samples as the run's chains would: of the event space, if it has one."""
        if self.space() is None and self.given("check_batch") is None:
            return Gaussian(shape, scale=1.1).draw(n, generator)
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return self.events(n, shape, seed=seed, dtype=torch.float32)

    def test_results(self) -> None:
        """A mapping from names to finite numbers, figures, or images with values in [0, 1]."""
        for shape in self.shapes():
            found = self.build(event_shape=shape, dtype=torch.float32)(self.view(shape))
            require(
                isinstance(found, Mapping) and all(isinstance(name, str) for name in found),
                "results",
                expected="a mapping from names to numbers and pictures",
                measured=type(found).__name__,
                allowed="a mapping with text for keys",
                cause="a bare number, or no return",
            )
            listed = declared_metrics(type(self).target())
            strange = [
                name
                for name in _numbers(found)
                if listed is not None and not any(fnmatchcase(name, known) for known in listed)
            ]
            require(
                not strange,
                "results",
                expected="numbers of the names that `metrics` lists",
                measured=f"{', '.join(strange)}",
                allowed=f"{', '.join(listed or ()) or 'none'}",
                cause="a name that is missing in `metrics`, so that no config may follow it",
            )
            for name, value in found.items():
                wrong = _wrong(value)
                require(
                    not wrong,
                    "results",
                    expected=f"{name!r}: a number that JSON can hold, a figure or an image",
                    measured=wrong,
                    allowed="a finite float or 0-d tensor; a figure that can be drawn; a tensor "
                    "(height, width) or (1 or 3, height, width) in [0, 1]",
                    cause="a whole batch, a NaN for what can't be known (leave it out), or an "
                    "image that was not scaled",
                )

    def test_model_untouched(self) -> None:
        """No weight, gradient or mode of the energy changes."""
        for shape in self.shapes():
            energy = self.looked_at(shape)
            monitor = self.build(event_shape=shape, dtype=torch.float32)
            view = self.view(shape, energy)
            cause = "energy.train() or eval(), a backward(), or an in-place change of a parameter"
            with module_untouched("model_untouched", energy, cause):
                monitor(view)

    def test_data_untouched(self) -> None:
        """The run's tensors are left as they were."""
        for shape in self.shapes():
            monitor = self.build(event_shape=shape, dtype=torch.float32)
            view = self.view(shape)
            names = ("data", "held_out", "x", "x_neg", "bounds")
            with tensors_untouched("data_untouched", {n: getattr(view, n) for n in names}):
                monitor(view)

    def test_streams_untouched(self) -> None:
        """It draws from `view.generator` alone."""
        for shape in self.shapes():
            monitor = self.build(event_shape=shape, dtype=torch.float32)
            view = self.view(shape)
            with streams_untouched("streams_untouched"):
                monitor(view)

    def test_reproducible(self) -> None:
        """The same view gives the same numbers."""
        shape = self.shapes()[0]
        monitor = self.build(event_shape=shape, dtype=torch.float32)
        first, second = (_numbers(monitor(self.view(shape))) for _ in range(2))
        changed = [n for n in {**first, **second} if first.get(n) != second.get(n)]
        require(
            not changed,
            "reproducible",
            expected="the same numbers from two looks at the same run",
            measured=f"{', '.join(changed)} differ",
            allowed="no difference",
            cause="a state that the monitor keeps from look to look, a clock, or a draw from "
            "elsewhere than view.generator; for a monitor that measures time, expect the failure",
        )

    def test_cadence(self) -> None:
        """The cadence that it means to have is one."""
        every = self.declared("every", "1 epoch")
        try:
            Cadence.parse(every)
            wrong = ""
        except ValueError as error:
            wrong = str(error)
        require(
            not wrong,
            "cadence",
            expected="`every` such as '5 epochs', '100 steps' or 'end'",
            measured=f"{every!r}: {wrong}",
            allowed="what a config may say",
            cause="a number without its unit",
        )


def _read(dataset: Any) -> Any:
    """Return a dataset's points, without conditions, as a run without transforms reads them."""
    found = dataset()
    x = found["x"] if isinstance(found, Mapping) else found
    return torch.as_tensor(x[0] if isinstance(x, tuple) else x), (None, None)


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    scalar = {n: v for n, v in found.items() if isinstance(v, numbers.Real) or _is_scalar(v)}
    return {name: float(value) for name, value in scalar.items()}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0


def _wrong(value: Any) -> str:
    """Say what is wrong with a result, or nothing."""
    if isinstance(value, numbers.Real) or _is_scalar(value):
        return "" if math.isfinite(float(value)) else f"the number {float(value)}"
    if hasattr(value, "savefig"):
        try:
            value.savefig(io.BytesIO(), format="png")
        except Exception as error:  # a figure may fail in any way
            return f"a figure that can't be drawn: {type(error).__name__}: {error}"
        return ""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    if value.ndim not in (2, 3) or (value.ndim == 3 and value.shape[0] not in (1, 3)):
        return f"a tensor of shape {tuple(value.shape)}"
    low, high = float(value.min()), float(value.max())
    return "" if low >= 0 and high <= 1 else f"an image with values from {low:.3g} to {high:.3g}"
