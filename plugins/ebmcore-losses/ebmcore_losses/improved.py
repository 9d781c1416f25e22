"""Contrastive divergence plus the gradient through the sampler's last steps that it ignores."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Generator, Tensor

from ebmcore import (
    Differentiable,
    Energy,
    NonNegativeFloat,
    PositiveInt,
    Real,
    Sampler,
    conditioned,
    energy_and_score,
    init_state,
    whole_batch,
)
from ebmcore_losses.contrastive import contrastive_divergence
from ebmcore_losses.numerics.nearest import nearest_neighbour_entropy


class ImprovedCD:
    """Mean E(x) - mean E(x⁻) + λ (mean Ē(x_θ) - mean Ē(x⁻) - h Ĥ(x_θ)).

    x_θ is the end of `through` more steps of the sampler from x⁻, as a function of the energy's
    parameters θ, and Ē is E with its parameters held constant. So the second term moves the
    sampler's steps towards low energies, and with h over 0 apart from each other: at h = 1 its
    gradient estimates that of KL(q_θ‖p), q_θ the density of x_θ, with p held constant, which
    contrastive divergence ignores. It descends that divergence, as the authors do; the exact
    gradient of KL(data‖p) - KL(q_θ‖p) would ascend it. The constant mean Ē(x⁻) makes the value the
    same for E + c. The value is not a likelihood.

    Args:
        kl_weight: λ; with 0 this is `contrastive_divergence`, and no step is taken.
        through: Steps of the sampler that the gradient goes through.
        entropy: h, weight of the entropy Ĥ of x_θ, in nats, which is estimated from the distance
            of each chain to its nearest neighbour in the batch, to the third nearest in two
            dimensions and the √n-th of n chains in one, where the gradient of nearer ones has no
            variance; with 0 it is left out.

    Shapes: x (batch, *event), x_neg (samples, *event) -> () in nats, of any sign, and two numbers
    to log, each (): `cd`, the first term, and `kl`, the second without λ. x_neg stays constant.
    `kl` lacks E's log Z, so it is no distance from 0; and in many dimensions Ĥ is too high, so that
    `kl` is too low: by h·10.8 nats for 128 chains of N(0, I) in 64 dimensions, where Ĥ is 101.6 for
    90.8. Its gradient then favours the wide directions: with scales from 1 to 0.1 over 64
    dimensions its part along the widest is 2.6 and along the narrowest 0.09, for 1 along each.
    Needs an energy that is twice differentiable in x and in its parameters. The kernel must take
    its scores from `ebmcore.energy_and_score`; where it chooses, as in an acceptance, the gradient
    goes through the chosen value. Raises ValueError when the sampler is not a `Kernel`, which
    alone takes single steps, when the event shapes differ, and with an entropy of one chain or of
    chains of different length.
    Source: Du, Li, Tenenbaum and Mordatch 2021, "Improved contrastive divergence training of
    energy-based models", and the code that the authors published: it goes through the last step,
    with λ = 1 and an entropy of weight 0.3, by the first neighbour, that leaves out a factor, the
    number of elements. The k-th neighbour: `ebmcore_losses.numerics.nearest`.
    """

    spaces: ClassVar = (Real,)
    order = 2  # it differentiates the score
    expected_failures = {  # noqa: RUF012 (a fact for ebmcore.testing)
        "gradient": "the second term holds parameters constant in Ē, which differences do not"
    }

    def __init__(
        self,
        *,
        kl_weight: NonNegativeFloat = 1.0,
        through: PositiveInt = 1,
        entropy: NonNegativeFloat = 0.0,
    ) -> None:
        self.kl_weight = kl_weight
        self.through = through
        self.entropy = entropy

    def fitted_scale(self, scale: float) -> float | None:
        """Return the scale of the Gaussian that it fits to N(0, scale²), where it is known.

        It is known without the second term, and with all of it. `ebmcore.testing` compares the
        loss with it.
        """
        return scale if not self.kl_weight or self.entropy == 1 else None

    def __call__(
        self,
        energy: Energy,
        x: Tensor,
        x_neg: Tensor,
        sampler: Sampler,
        generator: Generator | None,
        y: Tensor | None = None,
        y_neg: Tensor | None = None,
        mask: Tensor | None = None,
        mask_neg: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its terms."""
        divergence = contrastive_divergence(energy, x, x_neg, y, y_neg, mask, mask_neg)
        if not self.kl_weight:
            return divergence, {"cd": divergence}
        padded = mask_neg is not None and conditioned(energy, mask=mask_neg) is not energy
        if self.entropy and padded:
            raise ValueError(
                "improved_cd estimates the entropy from distances between chains, and sequences of "
                "different length have none; set its entropy to 0, or kl_weight to 0"
            )
        energy = conditioned(energy, y=y_neg, mask=mask_neg)
        ends = self.ends(energy, x_neg, sampler.kernel, generator)
        term = held_constant(energy, ends).mean() - energy_and_score(energy, x_neg)[0].mean()
        if self.entropy:
            # over all ranks' chains: nearest neighbours can't be averaged over parts of a batch
            term = term - self.entropy * nearest_neighbour_entropy(whole_batch(ends))
        return divergence + self.kl_weight * term, {"cd": divergence, "kl": term}

    def ends(
        self, energy: Energy, x_neg: Tensor, kernel: Any, generator: Generator | None
    ) -> Tensor:
        """Return the end of the steps from x_neg, with the graph back to the parameters."""
        if not all(hasattr(kernel, name) for name in ("init", "noise", "step")):
            raise ValueError(
                "improved_cd goes through single steps of the sampler, so it needs an "
                f"ebmcore.Kernel with init, noise and step; {type(kernel).__name__} has none"
            )
        through = Differentiable(energy)
        state = init_state(
            kernel, through, x_neg.detach(), generator=generator, n_steps=self.through
        )
        for _ in range(self.through):
            state, _ = kernel.step(through, state, kernel.noise(state.x, generator))
        end: Tensor = state.x
        return end


def held_constant(energy: Energy, x: Tensor) -> Tensor:
    """Return E(x), (batch,), whose gradient goes to the parameters through x alone."""
    values, score = energy_and_score(energy, x)
    return values - (score * (x - x.detach())).flatten(1).sum(1)
