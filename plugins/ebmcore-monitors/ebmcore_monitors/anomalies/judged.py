"""The points that an energy is to tell apart: normal ones and anomalies."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.points.marginal import marginal_energies

Labels = Literal["auto", "anomaly", "ignore"]


class Judged(NamedTuple):
    """Energies of normal points and of anomalies, in nats, and where they come from."""

    normal: Tensor  # (n,), float64, on the CPU
    anomalies: Tensor  # (m,)
    by_label: bool  # whether labels of the second dataset say which of its points are anomalies


def judged(
    view: RunView, x: Tensor, y: Tensor | None, mask: Tensor | None, labels: Labels
) -> Judged:
    """Return the energies of a run's held-out points and of a second dataset's.

    Shapes: x (k, *event), its labels y (k,), its mask (k, T). Raises ValueError when one of the two
    kinds has no points, E is NaN at some, or labels that should say anomalies don't.
    """
    by_label = labels != "ignore" and says_anomalies(y)
    if labels == "anomaly" and not by_label:
        given = "none" if y is None else f"{tuple(y.shape)} of {y.dtype}"
        raise ValueError(
            "labels: anomaly needs a label of 0 (normal) or 1 (anomaly) for each point of the "
            f"second dataset; found {given}"
        )
    energies = [marginal_energies(view, x, mask)]
    are_anomalies = [_truths(y, x, by_label, True)]
    if len(view.held_out):
        energies.append(marginal_energies(view, view.held_out, view.held_out_mask))
        own = by_label and says_anomalies(view.held_out_y)
        are_anomalies.append(_truths(view.held_out_y, view.held_out, own, False))
    energy, is_anomaly = torch.cat(energies), torch.cat(are_anomalies)
    if bool(energy.isnan().any()):
        raise ValueError(f"E is NaN at {int(energy.isnan().sum()):,} of {len(energy):,} points")
    found = Judged(energy[~is_anomaly], energy[is_anomaly], by_label)
    if not len(found.normal):
        raise ValueError(
            "there are no normal points: set data.holdout, or give a second dataset with labels, 0 "
            "for normal points and 1 for anomalies"
        )
    if not len(found.anomalies):
        raise ValueError(
            "there are no anomalies: the labels of the second dataset are 0, normal, at all of its "
            "points. labels: ignore takes them all for anomalies"
        )
    return found


def says_anomalies(y: Tensor | None) -> bool:
    """Tell whether labels are one number for each point, and all of them 0 or 1."""
    return y is not None and y.ndim == 1 and len(y) > 0 and bool(((y == 0) | (y == 1)).all())


def _truths(y: Tensor | None, x: Tensor, by_label: bool, otherwise: bool) -> Tensor:
    """Return which points are anomalies, (n,) bool, on the CPU."""
    if by_label and y is not None:
        return (y == 1).cpu()
    return torch.full((len(x),), otherwise)
