"""Chains like those of a run's samples, judged by the monitor `convergence`."""

from __future__ import annotations

from functools import partial
from typing import Any

from ebmcore.errors import EbmError
from ebmcore.monitoring.run import render
from ebmcore.plugins import Host
from ebmcore.run_contracts import RunView
from ebmcore.runner.results.draws import Draws
from ebmcore.sampling import conditions_of, evaluating, given
from ebmcore.sampling.borrowed import copied

MONITOR = "convergence"


def diagnosed(draws: Draws) -> tuple[dict[str, float], dict[str, bytes]]:
    """Follow other chains that begin and run as those of the draws do: numbers, figures as PNG.

    Raises EbmError when they would have several laws, of labels or of lengths, and PluginError when
    the monitor isn't installed.
    """
    run = draws.run
    monitor = Host.discover().find("monitor", MONITOR).load()(n_steps=draws.n_steps, full=True)
    taken = conditions_of(run.energy)
    if draws.y is None and taken is not None and "y" in taken.required:
        raise EbmError("--diagnose judges chains of one label, so say which: --y")
    if run.masks is not None:
        raise EbmError("--diagnose judges chains of one length, and these events have several")
    with draws.samples(f"diagnosis {draws.seed}") as samples, evaluating(run.energy):
        view = RunView(
            energy=given(run.energy, y=draws.y),
            data=run.bounds,
            held_out=run.bounds[:0],
            generator=samples.generator,
            step=run.step,
            n_steps=run.sampler.n_steps,
            space=run.space,
            kernel=copied(run.sampler.kernel),
            walk=partial(samples.trace, y=draws.y),
        )
        found: dict[str, Any] = monitor(view)
    figures = {key: value for key, value in found.items() if hasattr(value, "savefig")}
    if not found:
        raise EbmError("--diagnose: the sampler's chains have no one law that they could agree on")
    numbers = {key: float(value) for key, value in found.items() if key not in figures}
    return numbers, {key: render(value, key) for key, value in figures.items()}
