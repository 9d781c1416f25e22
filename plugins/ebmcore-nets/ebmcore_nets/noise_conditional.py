"""An energy of events at known noise levels, E(x, t), made of a net that doesn't know them."""

from __future__ import annotations

import inspect
import math
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ebmcore import PositiveFloat, PositiveInt


def _at_levels(n: int, event_shape: tuple[int, ...], generator: Generator) -> dict[str, Tensor]:
    x = torch.randn((n, *event_shape), generator=generator)
    return {"x": x, "t": 0.1 + torch.rand(n, generator=generator)}


class NoiseConditional(nn.Module):
    """E(x, t) = Σ_k g_k(log t) f_k(x), f a net with several outputs and g a small network of t.

    t is the standard deviation of the noise on x, in units of x: E(·, t) is to be the energy of the
    data convolved with N(0, t²I), as `multilevel_denoising` trains it. g is a layer of tanh and a
    linear one, so E changes smoothly with t, and the fewer outputs f has, the more the levels
    share: what the larger ones learn of the modes' weights then holds at the smaller ones.

    t is optional: without it E is that of the smallest level, nearly the data's own. `sigmas` are
    the levels, from the largest to the smallest in equal ratios, which losses and the sampler
    `annealed` read. A mask, (batch, T), says the steps of sequences that count, if the net takes
    one.

    Shapes: x (batch, *event_shape), t (batch,) above 0 -> (batch,), nats; sigmas (levels,). Raises
    ValueError when sigma_min isn't below sigma_max, the net returns a single number, or it takes no
    mask and there is one.
    Source: the levels are those of Song and Ermon 2019, "Generative modeling by estimating
    gradients of the data distribution".

    Args:
        net: The net f, any energy with the key `outputs` above 1.
        sigma_min: The smallest level, in units of x; small beside the data's narrowest feature.
        sigma_max: The largest level, in units of x; about the largest distance of two modes.
        levels: How many levels there are, both ends included.
        width: Width of the hidden layer of g.
    """

    check_params: ClassVar[dict[str, object]] = {
        "net": {"type": "mlp", "hidden": [16], "activation": "silu", "outputs": 4}
    }
    check_batch = staticmethod(_at_levels)
    sigmas: Tensor

    def __init__(
        self,
        net: nn.Module,
        *,
        sigma_min: PositiveFloat = 0.05,
        sigma_max: PositiveFloat = 3.0,
        levels: PositiveInt = 10,
        width: PositiveInt = 32,
    ) -> None:
        super().__init__()
        if not 0 < sigma_min < sigma_max:
            raise ValueError(
                f"sigma_min should be above 0 and below sigma_max; got {sigma_min} and {sigma_max}"
            )
        outputs = int(getattr(net, "outputs", 1))
        if outputs < 2:
            raise ValueError("the net should have several outputs; set its key `outputs`, say to 8")
        self.net = net
        self.masked = "mask" in inspect.signature(net.forward).parameters
        ends = math.log(sigma_max), math.log(sigma_min)
        self.register_buffer("sigmas", torch.linspace(*ends, levels).exp())
        self.of_level = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, outputs))

    def forward(self, x: Tensor, t: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return E(x, t), x (batch, *event_shape), t (batch,), mask (batch, T) -> (batch,)."""
        if mask is not None and not self.masked:
            raise ValueError(
                f"the data have a mask, and the net {type(self.net).__name__} takes none, so their "
                "padding would count; take a net whose forward takes `mask`, such as lstm"
            )
        features: Tensor = self.net(x) if mask is None else self.net(x, mask=mask)
        level = self.sigmas[-1].expand(x.shape[:1]) if t is None else t
        if level.shape != x.shape[:1]:
            raise ValueError(
                f"t should be one noise level for each event, shape ({len(x)},); "
                f"got {tuple(level.shape)}"
            )
        weights: Tensor = self.of_level(level.to(features).log().unsqueeze(1))
        return (features * weights).sum(1)
