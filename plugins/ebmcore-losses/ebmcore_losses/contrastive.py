"""Contrastive divergence: mean E(x) - mean E(x⁻), x⁻ held constant."""

from __future__ import annotations

from torch import Tensor

from ebmcore import Energy, conditioned


def contrastive_divergence(
    energy: Energy,
    x: Tensor,
    x_neg: Tensor,
    y: Tensor | None = None,
    y_neg: Tensor | None = None,
    mask: Tensor | None = None,
    mask_neg: Tensor | None = None,
) -> Tensor:
    """Mean E(x) - mean E(x⁻): its gradient estimates the likelihood's; its value does not.

    With x⁻ from the model itself the gradient w.r.t. the parameters is that of the mean negative
    log-likelihood; with a few steps of a sampler it is CD-k when the chains start at the data
    (`chains: data`) and PCD when they are kept (`chains: persistent`). The value is near 0 for
    a good model and also for a collapsed one.

    With an energy that requires labels it is mean E(x, y) - mean E(x⁻, y⁻), y⁻ the chains' labels.
    An energy that takes a mask gets that of x, and that of each chain.

    Shapes: x (batch, *event), x_neg (samples, *event) -> (), in nats, of any sign. x_neg is held
    constant. Raises ValueError when the event shapes differ.
    Source: Hinton 2002, "Training products of experts by minimizing contrastive divergence".
    """
    if x.shape[1:] != x_neg.shape[1:]:
        raise ValueError(f"x has events of {tuple(x.shape[1:])}, x_neg of {tuple(x_neg.shape[1:])}")
    of_data = conditioned(energy, y=y, mask=mask)(x)
    of_samples = conditioned(energy, y=y_neg, mask=mask_neg)(x_neg.detach())
    return of_data.mean() - of_samples.mean()
