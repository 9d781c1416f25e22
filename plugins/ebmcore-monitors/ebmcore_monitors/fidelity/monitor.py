"""How near samples are to the data in the features of a small classifier of the data."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import PositiveInt, Probability, RunView
from ebmcore_monitors.fidelity.judgement import Judgement, class_numbers, sure_of
from ebmcore_monitors.warn_once import WarnsOnce

POOR = 0.8  # held-out accuracy under which the features say little


def _batch(n: int, event_shape: tuple[int, ...], generator: Generator) -> dict[str, Tensor]:
    """Return points of two classes, which differ by their mean, for `ebmcore.testing`."""
    x = torch.randn((n, *event_shape), generator=generator)
    y = torch.randint(2, (n,), generator=generator)
    return {"x": x + 3 * y.reshape(-1, *(1,) * len(event_shape)), "y": y}


class Fidelity(WarnsOnce):
    """Fréchet and kernel distance from samples to the training data, in a classifier's features.

    - `frechet`: ‖μ - μ'‖² + tr(C + C' - 2 (C C')^½) of the means and covariances of the features
      of samples and of training data (FID, but with a classifier of these data); biased upwards
      for few samples.
    - `kernel`: unbiased squared maximum mean discrepancy of the features with the kernel
      (xᵀy/64 + 1)³ (KID); below 0 about half of the time for samples of the data's law.
    - `confident`: share of the samples of which the classifier is sure: max p(y | x) is at least
      `confidence`. `classes`: number of classes among those.
    - `frechet_floor`, `kernel_floor`, `confident_floor`: the same of as many held-out points in
      place of the samples. A perfect model comes near to them.
    - `accuracy`: the classifier's on the held-out points.

    The classifier is trained at the first look on the run's labelled training data, in their own
    units: transforms are undone. It is a network of two convolutions for images and of two hidden
    layers for other events; the features are its last hidden layer, 64 numbers, shifted and scaled
    together to mean 0 and mean variance 1. It depends on the training data alone, so a resumed run
    trains it again to the same bits. That takes about 7 s of one core for images of 28×28; a later
    look takes the time of its samples, and less than a second.

    Raises ValueError when the run has no sampler, no class numbers as labels, fewer than two
    classes, or fewer than two held-out points; `two_sample` compares events without labels.
    `train.keep_best: fidelity/frechet` keeps the checkpoint that was nearest.

    Source: Heusel et al. 2017 (FID); Bińkowski et al. 2018, "Demystifying MMD GANs" (KID).

    Args:
        n: Number of samples, and of held-out points at most.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        confidence: Least max p(y | x) of a confident sample.
    """

    every = "10 epochs"
    metrics: ClassVar = (
        *("frechet", "kernel", "*_floor"),
        *("confident", "classes", "accuracy"),
    )
    check_batch = staticmethod(_batch)  # ebmcore.testing uses it

    def __init__(
        self,
        *,
        n: PositiveInt = 256,
        n_steps: PositiveInt | None = None,
        confidence: Probability = 0.9,
    ) -> None:
        super().__init__()
        self.n = n
        self.n_steps = n_steps
        self.confidence = confidence
        self._of: Tensor | None = None  # the training data of the judgement
        self._judgement: Judgement

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the numbers."""
        class_numbers(view)
        x = view.undo(view.sample(self.n, self.n_steps))
        if not bool(x.isfinite().all()):
            view.warn("some samples are not finite, so fidelity can't compare them with the data")
            return {}
        if self._of is not view.data:
            self._judgement = Judgement.of(view, n=self.n, confidence=self.confidence)
            self._of = view.data
        said = self._judgement
        self._warn_of_poor_judge(view, said.accuracy)
        judged = said.judge(x)
        share, classes = sure_of(judged, self.confidence)
        floor = {f"{name}_floor": value for name, value in said.floor.items()}
        numbers = {"confident": share, "classes": float(classes), "accuracy": said.accuracy}
        return said.distances(judged.features) | numbers | floor

    def _warn_of_poor_judge(self, view: RunView, accuracy: float) -> None:
        if accuracy < POOR:
            self.warn(
                view,
                "poor judge",
                f"fidelity's classifier is right on {accuracy:.0%} of the held-out points, so its "
                "features say little of these data; hold its figures against their floors alone",
            )
