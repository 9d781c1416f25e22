"""A kernel density as an energy: near the training rows it is low."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ebmcore import Binary, PositiveFloat, PositiveInt, Real, Transform

_CHUNK = 512  # events whose distances to all rows are in memory at once
_POOL = 32  # rows near by the Euclidean distance, among which the nearest by another are sought
_OWN = 1e-4  # of the median distance: nearer than that, a row is the event itself


class KernelDensity(nn.Module):
    """E(x) = -log Σᵢ exp(-‖T(x) - T(xᵢ)‖ / h) over the k training rows xᵢ nearest to x.

    A density of Laplace kernels around the training rows: with k = 1 the distance to the nearest
    row, over h. T, the view, is a transform that is fitted on the rows, and by default the
    identity; a `sum` of energies with several views is a product of experts. The bandwidth h is
    learned: h = s exp(-w), s the median distance of a row to the nearest other one, w a parameter.

    No row vouches for itself: an event that is a training row (nearer than 1e-4 s) is compared with
    the others. So the energies of training rows are those of new points of their law, a loss can
    fit h, and E has an isolated value at each row.

    The rows are buffers, kept with the weights: a checkpoint holds the training data. Where the
    norm isn't 2, the nearest rows are sought among the 32 + k nearest by the Euclidean norm. An
    event costs time n times its numbers, n the number of rows.

    Shapes: x (batch, *event) -> (batch,), nats. Differentiable in x almost everywhere, but linear
    along lines to the rows: no loss that needs a curvature fits it. Raises ValueError when there
    are fewer than two training rows.
    Source: Parzen 1962, "On estimation of a probability density function and mode"; the row left
    out is Habbema, Hermans and van den Broek 1974's, "A stepwise discriminant analysis program
    using density estimation".

    Args:
        training_data: (runtime) The rows, (n, *event).
        event_shape: (runtime) Shape of one event; the rows of a run that is opened again come from
            its checkpoint.
        view: T, such as `rank_gaussian` or `whiten`; null compares the events as they are.
        norm: The norm of the distance: 2, or 1, which weighs many small differences more than a
            large one.
        neighbours: k.
        bandwidth: Initial h, in units of s.
        learnable: Whether h is trained.
        max_rows: How many training rows are kept at most; of more, so many at even distances.
    """

    spaces: ClassVar = (Real, Binary)
    check_event_shapes: ClassVar = ((2,), (3, 2))
    rows: Tensor
    seen: Tensor
    scale: Tensor

    def __init__(
        self,
        training_data: Tensor | None = None,
        event_shape: tuple[int, ...] = (1,),
        *,
        view: Transform | None = None,
        norm: Literal[1, 2] = 2,
        neighbours: PositiveInt = 1,
        bandwidth: PositiveFloat = 1.0,
        learnable: bool = True,
        max_rows: PositiveInt = 20_000,
    ) -> None:
        super().__init__()
        self.view = view
        self.norm = norm
        self.neighbours = neighbours
        self.piecewise_linear = norm == 1 and neighbours == 1
        self.log_weight = nn.Parameter(torch.tensor(-math.log(bandwidth)), requires_grad=learnable)
        if training_data is None:  # until a state is loaded
            training_data = torch.linspace(-1, 1, 3).view(3, *(1 for _ in event_shape))
            training_data = training_data.expand(3, *event_shape)
        if len(training_data) < 2 or max_rows < 2:
            found = min(len(training_data), max_rows)
            raise ValueError(f"needs at least two training rows; got {found}")
        if len(training_data) > max_rows:
            kept = torch.arange(max_rows, device=training_data.device)
            training_data = training_data[kept * len(training_data) // max_rows]
        where = self.log_weight.device
        self.register_buffer("rows", training_data.detach().clone().to(where))
        self.register_buffer("seen", torch.empty(0), persistent=False)  # the rows in the view
        self.register_buffer("scale", torch.empty(0), persistent=False)  # s
        self._fit()

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        away = self._distances(self._look(x))
        itself = away[:, 0] < _OWN * self.scale
        left_out = torch.zeros_like(away, dtype=torch.bool)
        left_out[:, 0] = itself
        if away.shape[1] > self.neighbours:
            left_out[:, -1] = ~itself
        exponents = -away * (self.log_weight.exp() / self.scale)
        return -exponents.masked_fill(left_out, -math.inf).logsumexp(1)

    def _distances(self, places: Tensor) -> Tensor:
        """Return the distances to the nearest rows, rising, (batch, numbers) -> (batch, k + 1)."""
        starts = range(0, max(1, len(places)), _CHUNK)
        return torch.cat([self._nearest(places[i : i + _CHUNK]) for i in starts])

    def _nearest(self, places: Tensor) -> Tensor:
        """Return them of a batch that is small enough to be compared with all rows at once."""
        wanted = min(self.neighbours + 1, len(self.seen))
        pool = wanted if self.norm == 2 else min(wanted + _POOL - 1, len(self.seen))
        with torch.no_grad():
            near = torch.cdist(places, self.seen).topk(pool, largest=False).indices
        away = places.unsqueeze(1) - self.seen[near]
        distances: Tensor = torch.linalg.vector_norm(away, self.norm, -1)
        return distances.sort(1).values[:, :wanted]

    @torch.no_grad()
    def _fit(self) -> None:
        """Fit the view on the rows, and find s on at most a thousand of them."""
        if self.rows.is_meta:
            self.seen, self.scale = self._look(self.rows), self.rows.new_empty(())
            return
        if self.view is not None:
            _fit_quietly(self.view, self.rows.cpu())
        self.seen = self._look(self.rows)
        some = self.seen[:: math.ceil(len(self.seen) / 1000)]
        s = self._distances(some)[:, 1].median()
        self.scale = torch.where(s > 0, s, 1.0)

    def _look(self, x: Tensor) -> Tensor:
        """Return T(x), flattened, (n, *event) -> (n, numbers)."""
        if self.view is None:
            return x.flatten(1)
        if x.is_meta:
            return x.new_empty((len(x), math.prod(self.view.shape(tuple(x.shape[1:])))))
        seen: Tensor = self.view(x)
        return seen.flatten(1)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any, **others: Any
    ) -> None:
        """Take rows of any number, and fit the view on them."""
        saved = state_dict.get(prefix + "rows")
        if saved is not None and saved.shape[1:] == self.rows.shape[1:]:
            self.rows = self.rows.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest, **others)
        self._fit()


def _fit_quietly(view: Transform, rows: Tensor) -> None:
    """Fit a view in the rows' own dtype; a number that is constant is no fault of a view."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(rows.dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            view.fit(rows)
    finally:
        torch.set_default_dtype(before)
