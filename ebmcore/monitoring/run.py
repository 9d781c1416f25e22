"""Runs the monitors: each at its cadence, timed, with a random stream of its own.

A monitor that raises is reported and switched off, and the run continues.
"""

from __future__ import annotations

import io
import numbers
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from ebmcore.contracts import Chains
from ebmcore.data.mask import without_padding
from ebmcore.errors import ComponentError, DirectoryError
from ebmcore.monitoring.figure_writer import FigureWriter
from ebmcore.monitoring.step_work import StepWork
from ebmcore.monitoring.view import make_view
from ebmcore.sampling import evaluating
from ebmcore.sampling.borrowed import state_kept
from ebmcore.train.components import MonitorEntry, Parts
from ebmcore.train.ema import averages_in_place
from ebmcore.train.monitor_schedule import MonitorSchedule, is_due
from ebmcore.train.rng import Streams, own_global_stream
from ebmcore.train.step import condition_slots
from ebmcore.train.types import StepResult

SHARE = 0.02  # of the run's time, that a monitor at `every: auto` may take
_CHANGED = "it changed the data, a weight or a requires_grad; a monitor may only read them"


class MonitorRunner(MonitorSchedule):
    """Runs the monitors of a run.

    Args:
        parts: The parts of the run, its monitors among them.
        streams: The source of each monitor's random stream.
        write: Writes an image by its name, MONITOR/step-N.png.
        warn: Called with the monitors' warnings and errors.
        log: Called with a level and the traceback of an error.
    """

    def __init__(
        self,
        parts: Parts,
        streams: Streams,
        write: Callable[[str, bytes], object],
        warn: Callable[[str], None],
        log: Callable[[str, str], None],
    ) -> None:
        super().__init__(parts)
        self.streams = streams
        self.write = write
        self.warn = warn
        self.log = log
        self.seconds = {entry.name: 0.0 for entry in parts.monitors}
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.figures = FigureWriter()
        self._active = list(parts.monitors)
        self._ran: dict[str, int] = {}  # name -> the last step at which it ran
        self._began = time.perf_counter()

    def __call__(
        self,
        energy: nn.Module,
        last: StepResult | None,
        step: int,
        steps_per_epoch: int,
        end: bool,
        chains: Chains | None,
        networks: Mapping[str, nn.Module] | None = None,
        *,
        rest: bool = False,
    ) -> dict[str, float]:
        """Run the monitors that are due after `step` training steps; return their metrics."""
        metrics: dict[str, float] = {}
        due = [
            entry
            for entry in self._active
            if is_due(entry, step, steps_per_epoch, end=end, rest=rest)
            and not self._is_put_off(entry, step, end=end)
        ]
        if not due:
            return metrics
        name = f"monitors {self.streams.renewed} {step} "
        view_of = partial(
            make_view, energy, self.parts.data, self.parts.sampler, chains,
            work=StepWork(lambda key: self.streams.derived(name + key), self.parts.device),
            step=step, epoch=step / steps_per_epoch, at_end=end, history=self.history,
            **self._seen(last),
        )  # fmt: skip
        for entry in due:
            self._ran[entry.name] = step
            began = time.perf_counter()
            with averages_in_place(self.parts.networks, networks or {}):  # a view copies parts
                view = view_of(
                    generator=self.streams(f"monitor {entry.name}"),
                    networks=dict(networks or {}),
                    warn=partial(self._warn, f"{entry.name} at step {step}"),
                )
            try:
                with (
                    own_global_stream(None, self.parts.device),
                    self._looking(energy, networks),
                    state_kept(self.parts.sampler and self.parts.sampler.kernel),
                ):
                    before = self._marks(energy, view.networks)
                    results = entry.function(view)
                    changed = self._marks(energy, view.networks) != before
                    metrics |= collect_results(entry, results, step, self.write, self.figures)
            except DirectoryError:  # not the monitor's fault
                raise
            except (Exception, SystemExit) as error:
                changed = False
                self._active.remove(entry)
                what = f"{entry.label} raised {type(error).__name__}: {error}"
                self.log("ERROR", f"step {step}: {what}\n{traceback.format_exc()}")
                self.warn(f"{what}; it is switched off and the run continues (see log.txt)")
            if changed:
                raise ComponentError(entry.label, step, RuntimeError(_CHANGED))
            self.seconds[entry.name] += time.perf_counter() - began
        return metrics

    def seconds_by_label(self) -> dict[str, float]:
        """Return the seconds that each monitor took, and those of drawing their figures."""
        found = {entry.label: self.seconds[entry.name] for entry in self.parts.monitors}
        drawn = self.figures.seconds
        return {**found, **({"figures, drawn beside the training": drawn} if drawn else {})}

    def close(self, *, wait: bool) -> None:
        """Wait for pending figures, or drop them."""
        for name, error in self.figures.close(wait=wait):
            what = f"{type(error).__name__}: {error}"
            self.warn(f"can't render the figure {name}: {what}")

    def state_dict(self) -> dict[str, Any]:
        """Return which monitors were switched off, the seconds that each took, and the run's."""
        off = [m.name for m in self.parts.monitors if m not in self._active]
        return {"switched_off": off, "seconds": dict(self.seconds), "elapsed": self._elapsed()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._active = [m for m in self._active if m.name not in state["switched_off"]]
        self.seconds |= {k: v for k, v in state["seconds"].items() if k in self.seconds}
        self._ran.clear()
        self._began = time.perf_counter() - state.get("elapsed", 0.0)  # older ones lack it

    def _is_put_off(self, entry: MonitorEntry, step: int, *, end: bool) -> bool:
        """Whether a monitor at `auto` ran at this step, or, before the end, took over its share.

        The weights must not depend on the clock, so one that the learning rate follows never waits.
        """
        if not entry.every.auto:
            return False
        if self._ran.get(entry.name) == step:
            return True
        is_followed = (self.parts.lr_metric or "").startswith(f"{entry.name}/")
        return not end and not is_followed and self.seconds[entry.name] > SHARE * self._elapsed()

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _warn(self, where: str, text: str) -> None:
        self.warn(f"{where}: {text}")

    def remember(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add recorded metrics to the history that monitors see."""
        for name, value in metrics.items():
            self.history.setdefault(name, []).append((step, value))

    @contextmanager
    def _looking(
        self, energy: nn.Module, networks: Mapping[str, nn.Module] | None
    ) -> Iterator[None]:
        """Set the modules to evaluation mode, and the networks to their averaged weights."""
        own, averaged = self.parts.networks, networks or {}
        with ExitStack() as stack:
            for module in (energy, *own.values(), *averaged.values()):
                stack.enter_context(evaluating(module))
            stack.enter_context(averages_in_place(own, averaged))
            yield

    def _marks(self, energy: nn.Module, networks: Mapping[str, nn.Module]) -> list[Any]:
        """Return version counters that change when a monitor writes to weights or data."""
        modules = (energy, *networks.values(), *self.parts.networks.values())
        tensors = [
            *self.parts.energy.parameters(),
            *(t for module in modules for t in (*module.parameters(), *module.buffers())),
        ]
        points = (self.parts.data.x, self.parts.data.held_out)
        return [(t._version, t.requires_grad) for t in (*tensors, *points)]

    def _seen(self, last: StepResult | None) -> dict[str, Any]:
        """Return the fields of a view that the last step of training gives."""
        named = self.parts.energy.named_parameters()
        seen = {"gradients": {name: p.grad.detach() for name, p in named if p.grad is not None}}
        if last is None:
            return seen
        x_neg = last.x_neg
        if x_neg is not None:
            x_neg = without_padding(x_neg, last.of_x_neg.mask)
        slots = condition_slots(last.conditions, last.of_x_neg)
        return {**seen, "x": last.x, "x_neg": x_neg, "info": last.info, **slots}


def collect_results(
    entry: MonitorEntry,
    results: Any,
    step: int,
    write: Callable[[str, bytes], object],
    figures: FigureWriter | None = None,
) -> dict[str, float]:
    """Return a monitor's metrics, and `write` its images, each by its name MONITOR/step-N.png.

    With `figures`, Matplotlib figures may be rendered and written later.
    """
    if not isinstance(results, Mapping):
        raise TypeError(f"a monitor returns a mapping; got {type(results).__name__}")
    metrics: dict[str, float] = {}
    for key, value in results.items():
        is_figure = hasattr(value, "savefig")  # other attributes may draw it
        if not is_figure and (isinstance(value, numbers.Real) or getattr(value, "shape", 0) == ()):
            metrics[f"{entry.name}/{key}"] = float(value)
            continue
        last = f"step-{step:08d}.png" if key == "figure" else f"{key}-step-{step:08d}.png"
        name = f"{entry.name}/{last}"
        if figures is not None and is_figure:
            figures(value, name, partial(render, value, key), partial(write, name))
            release(value)
        else:
            write(name, render(value, key))
    return metrics


def render(value: Any, key: str) -> bytes:
    """Render a Matplotlib figure, or an image tensor with values in [0, 1], as a PNG."""
    png = io.BytesIO()
    if hasattr(value, "savefig"):
        value.savefig(png, format="png")
        release(value)
        return png.getvalue()
    if isinstance(value, Tensor) and value.ndim in (2, 3):
        from matplotlib.image import imsave

        image = value.detach().clamp(0, 1).cpu()
        image = image.movedim(0, -1) if image.ndim == 3 else image
        image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
        imsave(png, image.numpy(), cmap="gray", vmin=0, vmax=1, format="png")
        return png.getvalue()
    raise TypeError(f"{key!r} is neither a number, a figure nor an image; got {value!r:.80}")


def release(figure: Any) -> None:
    """Close a figure in pyplot, which otherwise holds the figures that it made."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and isinstance(figure, pyplot.Figure):
        pyplot.close(figure)
