"""A monitor's view of a run, while the run trains or after it ended."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains, Start
from ebmcore.data.load import Data
from ebmcore.monitoring.model_samples import ModelSamples, chosen
from ebmcore.monitoring.other_points import read_other
from ebmcore.monitoring.step_work import StepWork
from ebmcore.run_contracts import RunView
from ebmcore.sampling import Sampler
from ebmcore.sampling.borrowed import copied


def make_view(
    energy: nn.Module,
    data: Data,
    sampler: Sampler | None,
    chains: Chains | None,
    generator: Generator,
    work: StepWork,
    **known: Any,
) -> RunView:
    """Make a view; it can sample the model when there are a sampler and chains.

    Views of one step that have one `work` share their samples, and what they make `once`.
    """

    def once(key: Hashable, make: Callable[[RunView], Any]) -> Any:
        def made(own: Generator) -> Any:
            return make(make_view(energy, data, sampler, chains, own, work, **known))

        return work.once(("once", key), made)

    draw = walk = None
    if sampler is not None and chains is not None:

        def batch(n: int, y: Tensor | None) -> Start:
            rows = chosen(data.y, len(data.x), y, n, generator)
            y, mask = data.conditions.rows(rows)
            return Start(data.x[rows], y, mask=mask)

        samples = ModelSamples(
            energy, sampler, chains, generator, data.bounds, data.space, data.y, data.mask, batch
        )

        def draw(n: int, n_steps: int | None, **given: Any) -> Tensor:
            if given:  # conditions of the caller's own
                return samples.sample(n, n_steps, **given)
            return work.sample(samples, n, n_steps)

        walk = samples.trace
    return RunView(
        energy=energy,
        data=data.x,
        held_out=data.held_out,
        data_y=data.y,
        held_out_y=data.held_out_y,
        data_mask=data.mask,
        held_out_mask=data.held_out_mask,
        generator=generator,
        n_steps=sampler.n_steps if sampler else 0,
        begins_at_data=chains is not None and getattr(chains, "begins_at_data", True),
        dataset=data.source,
        bounds=data.bounds,
        space=data.space,
        transforms=data.transforms,
        held_out_log_det=data.held_out_log_det,
        columns=data.columns,
        kernel=sampler and copied(sampler.kernel),
        draw=draw,
        walk=walk,
        maker=once,
        reader=partial(read_other, data),
        **known,
    )
