"""Badly scaled columns: the energy sees one column spread far wider than another."""

from __future__ import annotations

from typing import NamedTuple

from ebmcore import Real, RunView
from ebmcore_monitors.diagnoses.evidence import Evidence, Finding
from ebmcore_monitors.tables.columns import column_names

# A Langevin step that is stable across the narrowest column, of standard deviation s, has a size
# of the order of s²; to cross the widest, r times as wide, takes about r² of them: 100 at 10. With
# the recipe of the README two correlated columns end within .01 nats of their entropy at r = 5; at
# r = 10 they diverge, or end .46 nats away with a step of r² smaller.
RATIO = 10.0
ROWS = 100_000  # of the data, evenly spaced, at most


class Spreads(NamedTuple):
    """The columns that vary, and their standard deviations, the widest first."""

    columns: list[int]
    sd: list[float]

    @property
    def ratio(self) -> float:
        """The largest standard deviation over the smallest."""
        return self.sd[0] / self.sd[-1]


def badly_scaled(evidence: Evidence) -> Finding | None:
    """Return whether the widest column's standard deviation is over RATIO times the narrowest's.

    The data are those that the energy sees, after the transforms; a column of one value doesn't
    count. Only flat events of real numbers are judged: pixels and steps in time have one unit.
    """
    found = spreads(evidence.view)
    if found is None:
        return None
    names = column_names(evidence.view, evidence.view.data.shape[1])
    widest, narrowest = (repr(names[found.columns[end]]) for end in (0, -1))
    small = sum(sd < found.sd[0] / RATIO for sd in found.sd)
    return Finding(
        found.ratio > RATIO,
        f"the columns are badly scaled: column {widest} has a standard deviation of "
        f"{found.sd[0]:.3g}, and {narrowest} of {found.sd[-1]:.3g}; {small} of {len(found.sd)} "
        f"columns have less than 1/{RATIO:g} of the widest's. Set data.transform: "
        "[{type: standardise}]",
    )


def scale_ratio(evidence: Evidence) -> float | None:
    """Return the largest standard deviation of the columns over the smallest, where it is known."""
    found = spreads(evidence.view)
    return None if found is None else found.ratio


def spreads(view: RunView) -> Spreads | None:
    """Return the spreads of the columns of the data; None unless two vary in a table of reals."""
    x = view.data
    if x.ndim != 2 or not isinstance(view.space, Real) or view.data_mask is not None or len(x) < 2:
        return None
    sd = x[:: max(1, len(x) // ROWS)].double().std(0)
    order = sd.argsort(descending=True, stable=True)
    columns = order[sd[order] > 0].tolist()
    return Spreads(columns, sd[columns].tolist()) if len(columns) > 1 else None
