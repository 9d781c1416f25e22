"""The transfer matrix of a torus of spins: log Z and exact draws, row by row.

    T_r(s, s') = exp(Σⱼ b_rj sⱼ + 2 Σⱼ h_rj sⱼ sⱼ₊₁ + 2 Σⱼ v_rj sⱼ s'ⱼ),    Z = tr(T_0 T_1 … )

s is row r and s' the next one, of w spins each, so T is 2^w by 2^w: it is never formed, as its last
factor is the Kronecker product of w matrices of 2 by 2. Source: Onsager 1944; Kaufman 1949.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ebmcore_discrete.enumeration import digits

WIDEST = 12  # spins of a row
_AT_ONCE = 2**20  # numbers of a piece of the product


class TransferMatrix:
    """A torus of spins by its rows: couplings along and between them, and fields.

    Shapes: field, along and between (rows, width): b, h and v above, h and v being J of an edge to
    the next site of the row and of the column.
    """

    def __init__(self, field: Tensor, along: Tensor, between: Tensor) -> None:
        self.width = field.shape[1]
        numbers = torch.arange(2**self.width, device=field.device)
        self.spins = 2 * digits(numbers, 2, self.width).double() - 1  # (2^width, width)
        field, along, between = (part.double() for part in (field, along, between))
        pairs = self.spins * self.spins.roll(-1, 1)
        self.inside = field @ self.spins.T + 2 * along @ pairs.T  # (rows, 2^width), the exponent
        self.between = between
        signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64, device=field.device)
        self.factors = (2 * between[..., None, None] * signs).exp()  # (rows, width, 2, 2)

    def log_z(self) -> Tensor:
        """Return log tr(T_0 T_1 …), (), float64, with the graph of the parameters."""
        states = len(self.spins)
        size = max(1, min(states, _AT_ONCE // states))
        parts = []
        for first in range(0, states, size):
            start = torch.arange(first, min(first + size, states), device=self.spins.device)
            product = torch.nn.functional.one_hot(start, states).double()
            scale = product.new_zeros(())
            for row in range(len(self.inside)):
                product, grown = self._times(product, row)
                scale = scale + grown
            ends = product.gather(1, start[:, None]).sum()
            parts.append(ends.log() + scale)
        return torch.logsumexp(torch.stack(parts), 0)

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n tori exactly, (n, rows, width), bits in float64: the first row, then the others.

        It holds a matrix of 2^width by 2^width for each row.
        """
        rows, states = len(self.inside), len(self.spins)
        after = [torch.eye(states, dtype=torch.float64, device=self.spins.device)]
        for row in reversed(range(rows)):  # after[-1 - r] is T_r T_{r+1} …
            after.append(self._before(after[-1], row))
        uniform = torch.rand(
            (rows, n), generator=generator, device=self.spins.device, dtype=torch.float64
        )
        first = _choose(after[-1].diagonal().expand(n, -1), uniform[0])
        chosen = [first]
        for row in range(1, rows):  # P(next | this, first) ∝ T(this, next) (T_row …)(next, first)
            step = 2 * (self.spins[chosen[-1]] * self.between[row - 1]) @ self.spins.T
            chosen.append(_choose(step.exp() * after[rows - row].T[first], uniform[row]))
        return (self.spins[torch.stack(chosen, 1)] + 1) / 2

    def _times(self, product: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """Return product T_row over a scale, and that scale's log, which keep it from overflow."""
        inside = self.inside[row]
        top = inside.max().detach()
        product = self._between(product * (inside - top).exp(), row)
        largest = product.max().detach()
        return product / largest, top + largest.log()

    def _before(self, product: Tensor, row: int) -> Tensor:
        """Return T_row product, over a scale."""
        inside = self.inside[row]
        product = (inside - inside.max()).exp()[:, None] * self._between(product.T, row).T
        return product / product.max()

    def _between(self, product: Tensor, row: int) -> Tensor:
        """Multiply (n, 2^width) from the right with the Kronecker product, which is symmetric."""
        n = len(product)
        for place in range(self.width):  # spin `place` is the digit of 2^place
            low = 2**place
            parts = product.reshape(n, -1, 2, low)
            product = torch.einsum("napb,pq->naqb", parts, self.factors[row, place])
        return product.reshape(n, -1)


def _choose(weights: Tensor, uniform: Tensor) -> Tensor:
    """Return a column for each row, (n, states) -> (n,), with probability ∝ its weight."""
    ends = weights.cumsum(1)
    place = torch.searchsorted(ends, (uniform * ends[:, -1])[:, None], right=True)[:, 0]
    return place.clamp(max=weights.shape[1] - 1)
