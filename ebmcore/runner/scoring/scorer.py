"""Scores of points in the units of the data.

    energy      E(T(x)) - log |det dT/dx|     nats: -log p(x) but for log Z
    score norm  ‖∇E(T(x))‖                    nats per unit of T(x)
    percentile  100 · #{held-out points whose energy is at most that of x} / #{held-out points}

T are the transforms of the run's data, without their randomness: a point has the same scores, to
rounding, whatever stands beside it. Without log |det| in one of them the energy is E(T(x)) alone,
of held-out points, too. Of rows that a loader streams, the held-out points are the selection that
monitors see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmcore.data.load import Data
from ebmcore.data.transforms import TransformError, Transforms
from ebmcore.errors import DataError
from ebmcore.runner.scoring.new_points import NewPoints
from ebmcore.sampling import conditioned, conditions_of, energy_and_score, evaluating, takes_mask
from ebmcore.spaces import Real, Space

_NUMBERS, _ROWS = 2**17, 4096  # at most, of a batch that the energy gets


class Scores(NamedTuple):
    """The scores of n points."""

    energy: Any  # (n,), nats
    score_norm: Any = None  # (n,), nats per unit of x as the energy sees it; None if it isn't real
    percentile: Any = None  # (n,), 0 to 100; None without held-out points

    @classmethod
    def joined(cls, parts: list[Scores]) -> Scores:
        """Join the scores of some points and of others."""
        return cls(*(None if None in of else torch.cat(of) for of in zip(*parts, strict=True)))


class Scorer:
    """Scores points by a trained energy.

    Args:
        energy: E(x), or E of conditions, too.
        transforms: T, the transforms of the run's data.
        space: The space of the events that the energy sees.
        bounds: Their range, (2, *event), in their dtype and on their device.
        masked: Whether the run's data have a mask; then no log |det| is counted.
    """

    def __init__(
        self,
        energy: nn.Module,
        transforms: Transforms,
        space: Space,
        bounds: Tensor,
        *,
        masked: bool = False,
    ) -> None:
        self.energy = energy
        self.transforms = transforms
        self.space = space
        self.bounds = bounds
        self.masked = masked
        changed = bool(transforms.parts)
        self.event_shape = transforms.shapes[0] if changed else tuple(bounds.shape[1:])
        self.data_space = transforms.spaces[0] if changed else space
        self.reference: Tensor | None = None  # (m,), the held-out points' energies in order
        self.warnings: list[str] = []
        name = transforms.without_log_det if changed and not masked else ""
        if name or (changed and masked):
            why = f"transform {name} has no log |det|" if name else "the data have a mask"
            self.warnings.append(
                f"{why}, so energies are those of transformed points, not of points in the data's "
                "own units"
            )

    def compare_with(self, data: Data) -> None:
        """Give points their percentile among the held-out points of the run's data."""
        self.warnings.extend(data.changes)
        x, log_det, transforms = data.held_out, data.held_out_log_det, self.transforms
        if not len(x):
            self.warnings.append("no points were held out (data.holdout), so there's no percentile")
            return
        if any(part.draws and not part.augments for part in transforms.parts):
            undone = transforms.undone(x)
            if not undone.stopped_at:  # else they keep the randomness that they have
                x, log_det = transforms.with_log_det(undone.x)
        found = []
        with evaluating(self.energy):
            for rows in self._batches(0, len(x)):
                beside = (log_det, data.held_out_y, data.held_out_mask)
                own, y, mask = (None if of is None else of[rows] for of in beside)
                found.append(self._scores(x[rows], own, y, mask)[0])
        self.reference = torch.cat(found).sort().values

    def parts(self, points: NewPoints) -> Iterator[Scores]:
        """Score points a few megabytes at a time; the results are on the CPU.

        Raises DataError that names the place, the row and the column of the first bad number.
        """
        required = self._required(points)
        for rows in points.parts():
            x = points.read(rows, self.data_space, self.bounds.dtype)
            found = []
            with evaluating(self.energy):
                for batch in self._batches(rows.start, rows.stop):
                    y, mask = points.conditions(batch)
                    some = x[batch.start - rows.start : batch.stop - rows.start]
                    if mask is None and (self.masked or "mask" in required):
                        mask = torch.ones(some.shape[:2], dtype=torch.bool)
                    mapped, log_det = self._mapped(some, batch, points, mask)
                    found.append(self._scores(mapped, log_det, y, mask))
            yield Scores.joined([Scores(*one, self._percentile(one[0])) for one in found])

    def _scores(
        self, x: Tensor, log_det: Tensor | None, y: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the energies and score norms of events as the energy sees them, (n, *event')."""
        device = self.bounds.device
        y, mask = (None if part is None else part.to(device) for part in (y, mask))
        x, energy = x.to(device), conditioned(self.energy, y=y, mask=mask)
        norm = None
        if isinstance(self.space, Real):
            values, score = energy_and_score(energy, x)
            norm = score.flatten(1).norm(dim=1).cpu()
        else:
            with torch.no_grad():
                values = energy(x)
        values = values.detach().cpu()
        if log_det is not None:
            values = (values.double() - log_det.cpu()).to(values.dtype)
        return values, norm

    def _mapped(
        self, x: Tensor, rows: slice, points: NewPoints, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        transforms = self.transforms
        if not transforms.parts:
            return x, None
        try:
            if self.masked:
                return transforms(x, mask=mask), None
            return transforms.with_log_det(x)
        except TransformError as error:
            for i in range(len(x)) if len(x) > 1 else ():
                one = slice(i, i + 1)
                own = None if mask is None else mask[one]
                at = slice(rows.start + i, rows.start + i + 1)
                self._mapped(x[one], at, points, own)
            where = f"row {rows.start} (counted from 0): " if len(x) == 1 else ""
            text = str(error).replace("row 0, ", "", 1) if len(x) == 1 else str(error)
            name = transforms.names[error.index]
            raise DataError(f"{points.place}: {where}transform {name} {text}") from error

    def _percentile(self, energies: Tensor) -> Tensor | None:
        if self.reference is None:
            return None
        below = torch.searchsorted(self.reference, energies, right=True)
        share = 100 * below.double() / len(self.reference)
        return torch.where(energies.isnan(), torch.nan, share)

    def _batches(self, start: int, stop: int) -> Iterator[slice]:
        step = max(1, min(_ROWS, _NUMBERS // max(1, self.bounds[0].numel())))
        for first in range(start, stop, step):
            yield slice(first, min(first + step, stop))

    def _required(self, points: NewPoints) -> tuple[str, ...]:
        """Return the conditions that the energy requires. Raises DataError for points of others."""
        shape, wanted = tuple(points.x.shape[1:]), self.event_shape
        if shape != wanted:
            raise DataError(
                f"{points.place}: its points have shape {list(shape)}, and the events of the run "
                f"{list(wanted)}"
            )
        taken = conditions_of(self.energy)
        required = () if taken is None else taken.required
        if "y" in required and points.y is None:
            raise DataError(
                f"{points.place}: the energy is one of x and of its label y, and no labels are "
                "given; the file should have them as the run's own does, or give y=…"
            )
        if points.mask is not None and not takes_mask(self.energy):
            raise DataError(f"{points.place}: has a mask, and the run's energy takes none")
        if points.mask is not None and self.transforms.parts and not self.masked:
            raise DataError(f"{points.place}: has a mask, and the run's own data have none")
        return required
