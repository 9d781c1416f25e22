"""Persistent chains, which start at each training step where they ended before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ebmcore import Chains, PositiveFloat, PositiveInt, Probability, Space, Start
from ebmcore_chains import initial
from ebmcore_chains.subset import distinct

_CARRIED = "carried."  # before the name of a field of the sampler's state


class Persistent(Chains):
    """Keep `size` chains, and continue a random subset of them at each step: PCD (Tieleman 2008).

    A subset holds no chain twice, and each chain returns to the slot that it came from. With
    probability `reinit` a chain restarts from the initial distribution (`init`); the rest of the
    subset is unchanged. `reinit: 0.05` is the replay buffer of Du & Mordatch 2019.

    A chain also keeps its conditions, y and mask, and the fields that the sampler carries. One that
    begins, or begins anew, carries nothing and takes its conditions from the batch: with `init:
    data` those of the event at which it begins, else those of the batch's event at its place in the
    subset.

    Shapes: x (batch, *event) -> a `Start` with points of the same shape, dtype and device, which
    share no memory with the kept chains. `start` raises ValueError when the batch is larger than
    `size` or its events are of another shape than the chains; `keep` when it is called before
    `start` or gets another number of chains.

    Args:
        size: How many chains are kept, by all ranks together; at least the batch size.
        reinit: Probability that a chain of the subset restarts, each step.
        init: Where chains begin: uniform over the data's range, normal from N(0, scale²), or at
            events of the batch.
        scale: Standard deviation of normal noise, in units of x; unused by the others.
        data_range: (runtime) The lowest and the highest value of the data, (2, *event); without
            it uniform noise is over the range of the first batch.
        space: (runtime) The set that events live in. On binary or categorical events, and uniformly
            on real ones with bounds, noise is a uniform draw from it.
    """

    def __init__(
        self,
        size: PositiveInt = 1000,
        *,
        reinit: Probability = 0.0,
        init: Literal["uniform", "normal", "data"] = "uniform",
        scale: PositiveFloat = 1.0,
        data_range: Tensor | None = None,
        space: Space | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"size should be at least 1; got {size}")
        if not 0 <= reinit <= 1:
            raise ValueError(f"reinit should be between 0 and 1; got {reinit}")
        if init not in ("uniform", "normal", "data"):
            raise ValueError(f"init should be uniform, normal or data; got {init!r}")
        self.size = size
        self.reinit = reinit
        self.init = init
        self.begins_at_data = init == "data"
        self.scale = scale
        self.data_range = data_range
        self.space = space
        self._buffer: Tensor | None = None  # (size, *event), made by the first start
        self._slots: Tensor | None = None  # (batch,), where the chains of the last start live
        # (size, ...) each: `y`, `mask`, `carried.NAME`, and `begun`, whether a chain was ever kept
        self._beside: dict[str, Tensor] = {}

    def start(
        self,
        x: Tensor,
        generator: Generator | None = None,
        y: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Start:
        """Return copies of len(x) random chains, some of them restarted."""
        if len(x) > self.size:
            raise ValueError(
                f"a batch of {len(x)} needs as many chains; there are {self.size}: "
                f"make size at least {len(x)}"
            )
        given = {"y": y, "mask": mask}
        batch = {name: rows for name, rows in given.items() if rows is not None}
        buffer = self._chains_like(x, generator, batch)
        device = initial.device_of(x, generator)
        self._slots = distinct(self.size, len(x), generator, device).to(x.device)
        begin = self._begin(buffer, self._slots, batch)
        if self.reinit == 0:
            return begin
        again = initial.unit_interval(x, (len(x),), generator) < self.reinit
        new, beside = self._fresh(x, len(x), generator, batch)
        conditions: dict[str, Any] = {
            name: _where(again, beside[name], rows)
            for name, rows in begin.conditions._asdict().items()
            if name in beside and rows is not None
        }
        return begin._replace(
            x=_where(again, new, begin.x),
            fresh=None if begin.fresh is None else begin.fresh | again,
            **conditions,
        )

    def keep(self, end: Start) -> None:
        """Write the ends of the chains of the last start into the slots that they came from."""
        if self._buffer is None or self._slots is None:
            raise ValueError("keep was called before start; call start first")
        expected = (len(self._slots), *self._buffer.shape[1:])
        if tuple(end.x.shape) != expected:
            raise ValueError(
                f"keep takes the chains of the last start, shape {expected}; "
                f"got {tuple(end.x.shape)}"
            )
        self._buffer.index_copy_(0, self._slots, end.x.detach().to(self._buffer))
        beside = {f"{_CARRIED}{name}": value for name, value in end.carried.items()}
        conditions = end.conditions._asdict()
        beside |= {name: rows for name, rows in conditions.items() if rows is not None}
        if beside:
            beside["begun"] = torch.ones_like(self._slots, dtype=torch.bool)
        for name, value in beside.items():
            if name not in self._beside:
                self._beside[name] = value.new_zeros((self.size, *value.shape[1:]))
            self._beside[name].index_copy_(0, self._slots, value.detach().to(self._beside[name]))

    def kept(self) -> Start | None:
        """Return a copy of all chains, or None before the first start."""
        if self._buffer is None:
            return None
        beside = {name: tensor.clone() for name, tensor in self._beside.items()}
        return _start(self._buffer.clone(), beside)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the chains and of the last start's slots; empty before the first."""
        state = {"buffer": self._buffer, "slots": self._slots, **self._beside}
        return {name: value.clone() for name, value in state.items() if value is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state_dict. Raises ValueError when it doesn't hold `size` chains."""
        buffer, slots = state.get("buffer"), state.get("slots")
        if buffer is not None and len(buffer) != self.size:
            raise ValueError(f"the saved state holds {len(buffer)} chains, but size is {self.size}")
        self._buffer = None if buffer is None else buffer.clone()
        self._slots = None if slots is None else slots.clone()
        names = [name for name in state if name not in ("buffer", "slots")]
        self._beside = {name: state[name].clone() for name in names}

    def share(self, rank: int, ranks: int) -> None:
        """Keep one of `ranks` equal shares. Raises ValueError unless ranks divides `size`."""
        if self.size % ranks:
            raise ValueError(
                f"size should be divisible by the {ranks} ranks, which keep the chains together; "
                f"got {self.size}"
            )
        self.size //= ranks

    def deal(self, states: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> None:
        """Restore one share of the chains that all ranks saved, in the order of the ranks.

        Raises ValueError when the states don't hold `size` chains for each rank in all.
        """
        there = [state for state in states if "buffer" in state]
        if not there:
            return
        held = sum(len(state["buffer"]) for state in there)
        if held != self.size * ranks:
            raise ValueError(
                f"the saved states hold {held} chains; {ranks} rank(s) with {self.size} each "
                f"need {self.size * ranks}"
            )
        names = [name for name in there[0] if name != "slots" and all(name in s for s in there)]
        mine = slice(rank * self.size, (rank + 1) * self.size)
        self.load_state_dict({k: torch.cat([state[k] for state in there])[mine] for k in names})

    def _begin(self, buffer: Tensor, slots: Tensor, batch: Mapping[str, Tensor]) -> Start:
        """Return the chains of a subset as they were kept."""
        self._beside = {name: tensor.to(slots.device) for name, tensor in self._beside.items()}
        rows = {name: tensor.index_select(0, slots) for name, tensor in self._beside.items()}
        begin = _start(buffer.index_select(0, slots), rows)
        if self.init == "data":
            return begin
        new: dict[str, Any] = {
            name: batch[name] if begin.fresh is None else _where(begin.fresh, batch[name], rows)
            for name, rows in begin.conditions._asdict().items()
            if name in batch and rows is not None
        }
        return begin._replace(**new)

    def _chains_like(
        self, x: Tensor, generator: Generator | None, batch: Mapping[str, Tensor]
    ) -> Tensor:
        if self._buffer is None:
            self._buffer, beside = self._fresh(x, self.size, generator, batch)
            self._beside |= beside
        for name, rows in batch.items():
            if name not in self._beside:
                self._beside[name] = _repeated(rows, self.size)
        if self._buffer.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"the chains are events of shape {tuple(self._buffer.shape[1:])}; "
                f"got a batch of {tuple(x.shape[1:])}"
            )
        self._buffer = self._buffer.to(x)  # a resumed state may come from another device
        return self._buffer

    def _fresh(
        self, x: Tensor, n: int, generator: Generator | None, batch: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return n new chains, and their conditions."""
        if self.init == "data":
            rows = initial.row_numbers(x, n, generator)
            new = {name: values.index_select(0, rows) for name, values in batch.items()}
            return x.detach().index_select(0, rows), new
        new = {name: _repeated(values, n) for name, values in batch.items()}
        if self.space is not None and initial.is_of_space(self.space, self.init):
            return initial.of_space(x, n, self.space, generator), new
        if self.init == "normal":
            return initial.normal(x, n, self.scale, generator), new
        data_range = self.data_range
        if data_range is None:
            data_range = torch.stack([x.detach().amin(0), x.detach().amax(0)])
        return initial.uniform(x, n, data_range, generator), new


def _start(x: Tensor, beside: Mapping[str, Tensor]) -> Start:
    """Return chains x with the rows kept beside them."""
    fields = [name for name in beside if name.startswith(_CARRIED)]
    carried = {name.removeprefix(_CARRIED): beside[name] for name in fields}
    fresh = ~beside["begun"] if "begun" in beside else None
    return Start(x, beside.get("y"), carried, fresh, beside.get("mask"))


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Return the rows of `one` that are chosen, (batch,), and else those of `other`."""
    return torch.where(chosen.reshape(-1, *(1 for _ in one.shape[1:])), one, other)


def _repeated(rows: Tensor, n: int) -> Tensor:
    """Return the first n of some rows, repeated over and over."""
    return rows.index_select(0, torch.arange(n, device=rows.device) % len(rows))
