"""A monitor that compares a quadratic energy with the data it was trained on."""

from __future__ import annotations

import torch

from ebmcore import RunView


class Precision:
    """How far a quadratic energy's precision is from the inverse covariance of the data.

    Returns `error`, the Frobenius norm of the difference relative to the inverse covariance's, and
    `mean_error`, the distance of the means in units of the data.
    """

    every = "1 epoch"

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return both errors."""
        factor, mean = view.energy.factor, view.energy.mean  # type: ignore[attr-defined] # Quadratic's
        x = view.data.flatten(1)
        expected = torch.linalg.inv(x.T.cov())
        error = torch.linalg.norm(factor @ factor.T - expected) / torch.linalg.norm(expected)
        return {
            "error": error.item(),
            "mean_error": torch.linalg.norm(mean - x.mean(0)).item(),
        }
