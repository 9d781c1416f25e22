"""Block Gibbs: h' ~ P(h | v), then v' ~ P(v | h'), all bits of a layer at once.

Exact: a step leaves exp(-E(v)) invariant, and is reversible, as a step of v alone.
Source: Geman and Geman 1984; for RBMs, Hinton 2002, "Training products of experts by minimizing
contrastive divergence".
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Energy, Kernel, PositiveInt
from ebmcore_discrete.rbm import RBM
from ebmcore_discrete.state import GibbsInfo, GibbsState, info_of


class BlockGibbs(Kernel):
    """Block Gibbs sampling of a restricted Boltzmann machine: h' ~ P(h | v), v' ~ P(v | h').

    Samples exp(-E) without a bias. The energy offers `hidden_logits(v)`, (chains, *event) ->
    (chains, hidden), and `visible_logits(h)`, (chains, hidden) -> (chains, *event), the log odds of
    each bit given the other layer; `rbm` does. Two matrix products a step. For any other energy
    there is `gibbs`.

    Raises ValueError when the energy offers no such conditionals, or has another number of hidden
    bits than `hidden`.
    Source: Hinton 2002.

    Args:
        hidden: How many hidden bits the energy has: a step's noise is drawn before it is seen.
    """

    spaces: ClassVar = (Binary,)
    implied_temperature = 1.0
    check_params: ClassVar = {"hidden": 3}  # ebmcore.testing uses these
    check_event_shapes = ((4,),)

    @staticmethod
    def check_energy(event_shape: tuple[int, ...]) -> RBM:
        """Make an energy that offers its conditionals."""
        return RBM(3, scale=1.0, event_shape=event_shape)

    def __init__(self, hidden: PositiveInt = 64) -> None:
        self.hidden = hidden

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError unless the energy has these hidden bits."""
        logits = _conditionals(energy).hidden_logits(x[:1])
        if logits.shape[1:] != (self.hidden,):
            raise ValueError(
                f"block_gibbs has hidden = {self.hidden}, and the energy has {logits.shape[1]} "
                f"hidden bits; set the sampler's `hidden` to {logits.shape[1]}"
            )

    def init(self, energy: Energy, x: Tensor) -> GibbsState:
        """Begin at x."""
        self.check(energy, x)
        return GibbsState(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw a uniform number for each hidden bit, (chains, hidden), and each visible one."""
        return (
            torch.rand((len(x), self.hidden), generator=generator, device=x.device, dtype=x.dtype),
            torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype),
        )

    def step(
        self, energy: Energy, state: GibbsState, noise: tuple[Tensor, ...]
    ) -> tuple[GibbsState, GibbsInfo]:
        """Draw the hidden layer and then the visible one: a bit is 1 where u < P(1)."""
        of_hidden, of_visible = noise
        with torch.no_grad():
            conditionals = _conditionals(energy)
            h = (of_hidden < conditionals.hidden_logits(state.x).sigmoid()).to(state.x.dtype)
            x = (of_visible < conditionals.visible_logits(h).sigmoid()).to(state.x.dtype)
        return GibbsState(x), info_of(state.x, x)


def _conditionals(energy: Any) -> Any:
    if hasattr(energy, "hidden_logits") and hasattr(energy, "visible_logits"):
        return energy
    raise ValueError(
        "block_gibbs draws one layer given the other, so the energy should offer `hidden_logits` "
        f"and `visible_logits`, as rbm does; {type(energy).__name__} doesn't: use gibbs"
    )
