"""An energy of pairs and of single sites: couplings on a graph, and a field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ebmcore_discrete.graphs.couplings import Couplings


class Coupled(nn.Module):
    """The couplings J and the field b of an energy, b a parameter or 0.

    Args:
        couplings: J.
        event_shape: The shape of one event.
        field_shape: The shape of b, whose first axis are the sites.
        field: Whether b is trained.
    """

    field: Tensor

    def __init__(
        self,
        couplings: Couplings,
        event_shape: tuple[int, ...],
        field_shape: tuple[int, ...],
        *,
        field: bool,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.couplings = couplings
        none = torch.zeros(field_shape)
        if field:
            self.field = nn.Parameter(none)
        else:
            self.register_buffer("field", none)

    def matrix(self) -> Tensor:
        """Return J, (sites, sites), symmetric, 0 on its diagonal."""
        coupled: Tensor = self.couplings()
        return coupled

    @property
    def independent_sites(self) -> Tensor:
        """Sets of sites that are independent given the others, (sets, *event) bool."""
        return self.couplings.independent.reshape(-1, *self.event_shape)
