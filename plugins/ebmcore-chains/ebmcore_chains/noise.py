"""Chains that begin at fresh noise."""

from __future__ import annotations

from typing import Literal

from torch import Generator, Tensor

from ebmcore import Chains, PositiveFloat, Space
from ebmcore_chains import initial


class Noise(Chains):
    """Begin at fresh noise each time and keep nothing: short-run MCMC (Nijkamp et al. 2019).

    Training fits a sampler of that many steps from that noise rather than a density: longer chains
    of the same energy can end elsewhere. For a density use `persistent`.

    Shapes: x (batch, *event) -> starting points of the same shape, dtype and device.
    `start` raises ValueError when the noise is uniform and the data's range is not known.

    Args:
        kind: uniform draws each element over the range of that element in the data, normal from
            N(0, scale²).
        scale: Standard deviation of normal noise, in units of x; unused by uniform noise.
        data_range: (runtime) The lowest and the highest value of the data, (2, *event).
        space: (runtime) The set that events live in. On binary or categorical events, and uniformly
            on real ones with bounds, the noise is a uniform draw from it.
    """

    begins_at_data = False

    def __init__(
        self,
        *,
        kind: Literal["normal", "uniform"] = "uniform",
        scale: PositiveFloat = 1.0,
        data_range: Tensor | None = None,
        space: Space | None = None,
    ) -> None:
        if kind not in ("normal", "uniform"):
            raise ValueError(f"kind should be normal or uniform; got {kind!r}")
        self.kind = kind
        self.scale = scale
        self.data_range = data_range
        self.space = space

    def start(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw as many starting points as x has events."""
        if self.space is not None and initial.is_of_space(self.space, self.kind):
            return initial.of_space(x, len(x), self.space, generator)
        if self.kind == "normal":
            return initial.normal(x, len(x), self.scale, generator)
        if self.data_range is None:
            raise ValueError(
                "uniform noise needs the data's range: pass data_range=torch.stack([x.amin(0), "
                "x.amax(0)]) of all the data, or kind='normal'"
            )
        return initial.uniform(x, len(x), self.data_range, generator)
