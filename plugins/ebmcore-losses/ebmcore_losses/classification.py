"""Cross-entropy of an energy's own classifier: it trains p(y | x)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as functional
from torch import Tensor

from ebmcore import Probability, loss


@loss(shift_invariant=True)
def cross_entropy(
    energy: Any, x: Tensor, y: Tensor, *, label_smoothing: Probability = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean -log p(y | x), p(y | x) = softmax of `energy.logits(x)`: the classifier's own loss.

    With an energy E(x, y) = -logits(x)[y], such as `classifier`, it is the part of the joint
    likelihood that needs no samples: log p(x, y) = log p(x) + log p(y | x). The other part is a
    loss of samples, such as `contrastive_divergence`; both together train a JEM.

    Args:
        label_smoothing: Share of each label that is spread evenly over all classes.

    Shapes: x (batch, *event), y (batch,) class numbers from 0 -> (), in nats, at least 0, and the
    number to log, `accuracy` on the batch. Raises ValueError when the energy has no `logits`.
    Source: Grathwohl et al. 2020, "Your classifier is secretly an energy based model and you should
    treat it like one", eq. 8, its second term.
    """
    if not hasattr(energy, "logits"):
        raise ValueError(
            f"cross_entropy needs an energy with `logits`, such as `classifier`; "
            f"{type(energy).__name__} has none"
        )
    logits, labels = energy.logits(x), y.long()
    accuracy = (logits.detach().argmax(1) == labels).to(logits.dtype).mean()
    value = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return value, {"accuracy": accuracy}
