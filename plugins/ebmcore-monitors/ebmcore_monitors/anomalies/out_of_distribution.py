"""How well the energy tells held-out points from those of another dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.anomalies.judged import Judged, Labels, judged
from ebmcore_monitors.anomalies.plot import plot
from ebmcore_monitors.statistics.average_precision import curves
from ebmcore_monitors.statistics.ranks import share_above

Dataset = Callable[[], Any]


class OutOfDistribution:
    """AUROC and AUPR of the energy as a score of anomalies: held-out points against other points.

    - `auroc`: P(E(anomaly) > E(normal)) + ½ P(E(anomaly) = E(normal)), the area under the ROC
      curve; ½ for an energy that tells nothing.
    - `aupr`: the average precision, Σ (R_k - R_{k-1}) P_k over the values of E from the highest
      down, R the recall and P the precision among the points at or above a value. It depends on the
      share of anomalies: an energy that tells nothing has about `aupr_baseline`, that share.
    - `normal`, `anomalies`: the number of points of each kind.
    - `figure`: histograms of E at both kinds of points, the ROC and the precision-recall curve.

    The held-out points are normal and those of the second dataset are anomalies, unless that one
    has labels which are all 0 or 1: then 1 is an anomaly, its points with 0 are normal and join the
    held-out ones, and held-out points whose own labels are 0 or 1 go by these. It is the protocol
    of ADBench's semi-supervised tables where the run trains on half of the normal rows and
    `against` has the others: all others, and all anomalies, are scored.

    The second dataset goes through the run's transforms, and its events have the space and the
    shape of the run's. An energy E(x, y) that requires labels is summed over those of the training
    data, E(x) = -log Σ_y exp(-E(x, y)); where y is optional, E(x) is the energy's own. A mask says
    which steps of sequences count, and the energy gets it if it takes one.

    Raises DataError when the second dataset can't be read or doesn't fit, before the run starts;
    ValueError when one of the two kinds has no points, or E is NaN.

    Source: Hendrycks and Gimpel 2017, "A baseline for detecting misclassified and
    out-of-distribution examples in neural networks"; Han, Hu, Huang, Jiang and Zhao 2022,
    "ADBench: anomaly detection benchmark".

    Args:
        against: The second dataset, such as {type: file, path: other.csv}.
        labels: auto takes labels that are all 0 or 1 for normal and anomaly; anomaly insists on it;
            ignore takes all points of the second dataset for anomalies, as for those of classes.
    """

    every = "5 epochs"
    metrics: ClassVar = ("auroc", "aupr", "aupr_baseline", "normal", "anomalies")
    takes_mask = True

    def __init__(self, *, against: Dataset, labels: Labels = "auto") -> None:
        self.against = against
        self.labels = labels
        self._points: tuple[Tensor, Any] | None = None
        self._has_told = False

    def check(self, event_shape: tuple[int, ...], read: Callable[[Any], Any]) -> None:
        """Read the second dataset, so that one that doesn't fit stops the run at its start."""
        self._points = read(self.against)

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the numbers and the `figure`."""
        if self._points is None:
            self._points = view.read(self.against)
        x, (y, mask) = self._points
        self._tell(view, has_labels=y is not None)
        found = judged(view, x.to(view.data.device), y, mask, self.labels)
        return {**numbers(found), "figure": plot(view, found)}

    def _tell(self, view: RunView, *, has_labels: bool) -> None:
        """Pass on, once, what the second dataset says of itself, such as columns not read."""
        if self._has_told:
            return
        self._has_told = True
        for text in getattr(self.against, "warnings", ()):
            more = "; without labels all of its points are taken for anomalies: name their column "
            view.warn(text if has_labels else f"{text}{more}by --label, or `label` of its node")


def numbers(found: Judged) -> dict[str, float]:
    """Return the areas, the baseline and the numbers of points."""
    normal, anomalies = len(found.normal), len(found.anomalies)
    return {
        "auroc": share_above(found.anomalies, found.normal),
        "aupr": curves(found.anomalies, found.normal).average_precision,
        "aupr_baseline": anomalies / (normal + anomalies),
        "normal": float(normal),
        "anomalies": float(anomalies),
    }
