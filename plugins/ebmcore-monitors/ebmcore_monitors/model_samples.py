"""Samples for a picture that can also be drawn without any."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.subset import subset


class ModelSamples(NamedTuple):
    """Samples of the model, or the reason why there are none."""

    x: Tensor | None  # (at most n, *event)
    reason: str = ""


def model_samples(view: RunView, n: int, n_steps: int | None) -> ModelSamples:
    """Draw n samples; where that can't be done, take those of the last training step, if any."""
    try:
        return ModelSamples(view.sample(n, n_steps))
    except ValueError as error:
        if view.x_neg is None:
            return ModelSamples(None, str(error))
        view.warn(f"the last training step's samples are shown, because {error}")
        return ModelSamples(subset(view.x_neg, n, view.generator))
