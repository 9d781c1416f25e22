"""Cross-entropy of an energy's own classifier: it trains p(y | x)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Generator, Tensor, nn

from ebmcore import Probability, loss


class _Logits(nn.Module):
    """Three classes by linear logits, for `ebmcore.testing`."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.linear = nn.Linear(math.prod(event_shape), 3)

    def logits(self, x: Tensor) -> Tensor:
        """Return (batch, 3)."""
        values: Tensor = self.linear(x.flatten(1))
        return values

    def forward(self, x: Tensor) -> Tensor:
        """Return E(x), (batch, *event) -> (batch,)."""
        return -self.logits(x).logsumexp(1)


def _batch(n: int, event_shape: tuple[int, ...], generator: Generator) -> dict[str, Tensor]:
    x = torch.randn((n, *event_shape), generator=generator)
    return {"x": x, "y": torch.randint(3, (n,), generator=generator)}


@loss(check_energy=_Logits, check_batch=_batch)
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
