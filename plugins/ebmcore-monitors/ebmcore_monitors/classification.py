"""How well an energy's own classifier, p(y | x), tells held-out labels, and how well calibrated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.points.chunks import split
from ebmcore_monitors.statistics.calibration import Reliability, reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


class Classification:
    """Accuracy, likelihood and calibration of softmax `energy.logits(x)` on held-out data.

    - `accuracy`: share of the held-out points whose likeliest class is their label.
    - `nll`: mean -log p(y | x), in nats.
    - `ece`: expected calibration error, the mean over points of |accuracy - confidence| of their
      bin of the confidence max_y p(y | x), from 0 to 1. It is biased upwards for few points: of n
      points of a calibrated classifier it is about Σ_b √(2 n_b a_b (1 - a_b)/π)/n, n_b and a_b the
      points and the accuracy of each bin. Compare runs on the same points.
    - `figure`: the reliability diagram, accuracy against confidence, with the number of points in
      each bin under it.

    For energies with `logits`, such as `classifier`. Raises ValueError when the energy has none, or
    the run has no held-out points with labels.

    Source: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks".

    Args:
        bins: Number of bins of the confidence, of equal width.
    """

    every = "5 epochs"
    metrics: ClassVar = ("accuracy", "nll", "ece")
    check_energy = _Logits  # ebmcore.testing uses these
    check_batch = staticmethod(_batch)

    def __init__(self, *, bins: PositiveInt = 15) -> None:
        self.bins = bins

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the numbers and the `figure`."""
        logits_of = getattr(view.energy, "logits", None)
        if logits_of is None:
            raise ValueError(
                "classification needs an energy with `logits`, such as `classifier`; "
                f"{type(view.energy).__name__} has none. Remove the monitor"
            )
        if view.held_out_y is None or len(view.held_out) == 0:
            raise ValueError(
                "classification judges held-out points with labels, which this run doesn't have; "
                "set data.holdout, or remove the monitor"
            )
        with torch.no_grad():
            logits = torch.cat([logits_of(x).double().cpu() for x in split(view.held_out)])
        labels = view.held_out_y.long().cpu()
        log_p = logits.log_softmax(1)
        best, predicted = log_p.max(1)
        correct = predicted == labels
        bins = reliability(best.exp(), correct, self.bins)
        return {
            "accuracy": float(correct.double().mean()),
            "nll": float(-log_p.gather(1, labels[:, None]).mean()),
            "ece": bins.ece,
            "figure": _plot(view, bins),
        }


def _plot(view: RunView, bins: Reliability) -> Figure:
    """Plot accuracy against confidence, with the diagonal of a calibrated classifier."""
    figure = new_figure(view, 4.8, 5.4, "reliability")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    n = len(bins.points)
    edges = torch.linspace(0, 1, n + 1).tolist()
    filled = bins.points > 0
    above.bar(
        [edge for edge, there in zip(edges[:-1], filled, strict=True) if there],
        bins.accuracy[filled].numpy(),
        width=1 / n,
        align="edge",
        color=SAMPLES,
        alpha=0.35,
        edgecolor=SAMPLES,
        label="accuracy",
    )
    above.plot(
        bins.confidence[filled].numpy(),
        bins.accuracy[filled].numpy(),
        color=SAMPLES,
        marker="o",
        markersize=4,
        linewidth=1.2,
    )
    above.plot([0, 1], [0, 1], color=DATA, linestyle="--", linewidth=1.0, label="calibrated")
    above.set_xlim(0, 1)
    above.set_ylim(0, 1)
    above.set_ylabel("accuracy")
    above.set_title(f"ECE {bins.ece:.4f} of {int(bins.points.sum()):,} held-out points", fontsize=9)
    above.legend(loc="upper left", fontsize=8, frameon=False)
    below.bar(edges[:-1], bins.points.numpy(), width=1 / n, align="edge", color=DATA, alpha=0.6)
    below.set_yscale("symlog", linthresh=1)
    below.set_ylabel("points")
    below.set_xlabel("confidence, max p(y | x)")
    return figure
