"""A classifier of a run's data, and what it says of the held-out points, which no model changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import RunView
from ebmcore_monitors.fidelity.judge import Judge, Judged
from ebmcore_monitors.statistics.frechet import frechet_distance
from ebmcore_monitors.statistics.mmd import polynomial_kernel, squared_mmd

TRAINED_ON = 10_000  # training points at most
REFERENCE = 2_000  # of these at most that samples are compared with
_SEED = 0  # of all runs, so that the same data are judged alike


class Judgement(NamedTuple):
    """A classifier with everything that it says without samples."""

    judge: Judge
    reference: Tensor  # features of training points, (at most REFERENCE, FEATURES)
    compared: int  # how many samples are compared: as many as held-out points
    floor: Mapping[str, float]  # `frechet`, `kernel`, `confident` of the held-out points
    accuracy: float  # on these

    @classmethod
    def of(cls, view: RunView, *, n: int, confidence: float) -> Judgement:
        """Train the classifier on a run's data, and look at n held-out points at most.

        Raises ValueError when the run has no labels to train on, or no held-out points.
        """
        labels, held_out_labels = class_numbers(view)
        generator = Generator().manual_seed(_SEED)
        rows = torch.randperm(len(labels), generator=generator)[:TRAINED_ON].to(labels.device)
        labels = labels[rows].cpu()
        known = torch.unique(labels)
        y = torch.searchsorted(known, labels)
        x = view.undo(view.data[rows])
        judge = Judge(x, y, classes=len(known), generator=generator)
        reference = judge(x[:REFERENCE]).features
        order = torch.randperm(len(view.held_out), generator=generator)[:n]
        judged = judge(view.undo(view.held_out[order.to(view.held_out.device)]))
        said = cls(judge, reference, len(order), {}, 0.0)
        share, _ = sure_of(judged, confidence)
        floor = said.distances(judged.features) | {"confident": share}
        right = known[judged.p.argmax(1)] == held_out_labels.cpu()[order]
        return said._replace(floor=floor, accuracy=float(right.double().mean()))

    def distances(self, features: Tensor) -> dict[str, float]:
        """Return `frechet` and `kernel` from the first of some points to the training points."""
        x = features[: self.compared]
        pooled = torch.cat([x, self.reference])
        is_x = torch.arange(len(pooled)) < len(x)
        return {
            "frechet": frechet_distance(x, self.reference),
            "kernel": float(squared_mmd(polynomial_kernel(pooled), is_x[None])),
        }


def class_numbers(view: RunView) -> tuple[Tensor, Tensor]:
    """Return the labels of the training data, (n,), and of the held-out points, (m,).

    Raises ValueError when they are no classes, or there are none.
    """
    y, of_held_out = view.data_y, view.held_out_y
    if y is None or of_held_out is None:
        raise ValueError(
            "fidelity judges samples by a classifier of the data, and these have no labels; take "
            "two_sample, which compares the events themselves, or remove the monitor"
        )
    if y.ndim != 1 or y.is_floating_point():
        raise ValueError(
            "fidelity needs one class number as label of each point; found labels of shape "
            f"{tuple(y.shape)}, {y.dtype}. Remove the monitor"
        )
    if len(torch.unique(y)) < 2:
        raise ValueError("fidelity needs data of two classes or more; these have one label alone")
    if len(view.held_out) < 2:
        raise ValueError(
            "fidelity compares samples with the data as far as held-out points are from them, and "
            f"needs at least 2 of these; this run has {len(view.held_out)}. Set data.holdout"
        )
    return y, of_held_out


def sure_of(judged: Judged, confidence: float) -> tuple[float, int]:
    """Return the share of points with max p(y | x) at least that, and how many classes they are."""
    most, predicted = judged.p.max(1)
    chosen = most >= confidence
    return float(chosen.double().mean()), len(torch.unique(predicted[chosen]))
