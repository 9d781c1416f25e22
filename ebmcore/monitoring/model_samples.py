"""Samples of a model, for monitors and after the run: where their chains begin.

A model is judged by samples that chains reach without the data. Chains that begin at the data look
like them, however wrong the energy is, until they have mixed; then they are no better than chains
that began elsewhere. `RunView.sample`, `RunView.trace`, `Run.sample`, `ebmcore sample` and
`ebmcore evaluate` share one rule:

    chains whose `begins_at_data` is False   a random choice of those they keep; without any, those
                                             that they start from a batch of noise, `size` at most
    others that keep nothing                 those that they start from a batch of noise
    others                                   the batch of noise itself

Noise is uniform over the data's range, or over a discrete space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains, Start, Trace
from ebmcore.data.mask import without_padding
from ebmcore.sampling import (
    CONDITIONS,
    Sampler,
    Taken,
    Walk,
    conditions_of,
    kept_by,
    start_chains,
    takes_mask,
)
from ebmcore.sampling.borrowed import borrowed
from ebmcore.spaces import REAL, Real, Space


class ConditionError(ValueError):
    """A condition that the energy requires and doesn't get, or gets and doesn't take."""


class ModelSamples(NamedTuple):
    """Samples a model with copies of its sampler and its chains, whose memory doesn't change.

    With conditions y, a kept chain is one of its own label where there is one. Other chains of an
    energy that requires y have labels of kept ones, or else of the data.
    """

    energy: nn.Module
    sampler: Sampler
    chains: Chains
    generator: Generator
    bounds: Tensor  # (2, *event), the range of the training data
    space: Space = REAL
    labels: Tensor | None = None  # (n, …), the data's
    masks: Tensor | None = None  # (k, T), the data's, for chains that have none of their own
    batch: Callable[[int, Tensor | None], Start] | None = None  # data of labels y, for `as_trained`

    @property
    def default_steps(self) -> int:
        """The steps of a sample unless they are given."""
        return 10 * self.sampler.n_steps

    @property
    def n_kept(self) -> int:
        """How many kept chains samples may begin at; 0 where samples begin at noise."""
        kept = kept_by(self.chains)
        return 0 if kept is None or not self._is_clean else len(kept.x)

    @property
    def _is_clean(self) -> bool:
        """Whether no chain began at the data."""
        return not getattr(self.chains, "begins_at_data", True)

    def sample(self, n: int, n_steps: int | None, *, y: Any = None, mask: Any = None) -> Tensor:
        """Return n events after n_steps, (n, *event)."""
        return self.draw(n, n_steps, y=y, mask=mask).x

    def draw(
        self,
        n: int,
        n_steps: int | None,
        *,
        y: Any = None,
        mask: Any = None,
        kept: Tensor | None = None,
    ) -> Start:
        """Return n events after n_steps, and their conditions if they have any.

        n_steps is ten times the steps of training by default; y gives each its condition, (n, …),
        or a number all of them; mask gives each its steps that count, (n, T), or (T,) all of them.
        `kept`, (n,), numbers the kept chains to begin at, in place of a random choice.
        """
        steps = self.default_steps if n_steps is None else n_steps
        with borrowed(self.sampler.kernel) as kernel:
            start = self._start(n, steps, y, mask, kept_rows=kept)
            walk = Walk(kernel, self.energy, start, self.generator, n_steps=steps)
            x = without_padding(walk.go(steps).x, start.mask)
            return Start(x, start.y, mask=start.mask)

    def trace(
        self,
        n: int,
        n_steps: int,
        thin: int,
        *,
        y: Any = None,
        mask: Any = None,
        as_trained: bool = False,
    ) -> Trace:
        """Return every thin-th state of n chains over n_steps.

        With as_trained they begin as in a training step: at kept chains, or from a batch of data.
        """
        if not 1 <= thin <= n_steps:
            raise ValueError(f"thin should be from 1 to n_steps, {n_steps}; got {thin}")
        with borrowed(self.sampler.kernel) as kernel:
            start = self._start(n, n_steps, y, mask, self.batch if as_trained else None)
            walk = Walk(kernel, self.energy, start, self.generator, n_steps=n_steps)
            trace = walk.trace(n_steps, thin)
            if start.mask is None:
                return trace
            return trace._replace(x=torch.stack([without_padding(x, start.mask) for x in trace.x]))

    def _start(
        self,
        n: int,
        steps: int,
        y: Any,
        mask: Any,
        data: Callable[[int, Tensor | None], Start] | None = None,
        kept_rows: Tensor | None = None,
    ) -> Start:
        if n < 1 or steps < 1:
            raise ValueError(f"n and n_steps should be at least 1; got {n} and {steps}")
        wanted = None if y is None else conditions(y, n, self.generator.device)
        taken = conditions_of(self.energy) or Taken((), CONDITIONS)
        required = "y" in taken.required
        if wanted is not None and "y" not in (*taken.required, *taken.optional):
            raise ConditionError("the energy takes no condition y")
        if mask is not None and not takes_mask(self.energy):
            raise ConditionError("the energy takes no mask")
        kept = kept_by(self.chains)
        clean = data is not None or self._is_clean
        if kept is not None and clean:
            if kept_rows is None:
                kept_rows = chosen(kept.y, len(kept.x), wanted, n, self.generator)
            start = rows(kept, kept_rows)
        else:
            batch = self._noise(n) if data is None else data(n, wanted)
            labels = None
            if required:
                labels = batch.y if wanted is None else wanted
                labels = self._drawn_labels(n, kept) if labels is None else labels
            if batch.mask is None:
                batch = batch._replace(mask=self._drawn_masks(n))
            if clean or not remembers(self.chains):
                start = self._started(batch, labels)
            else:
                start = batch._replace(y=labels)
        start = start if wanted is None else start._replace(y=wanted)
        if start.mask is None:
            start = start._replace(mask=self._drawn_masks(n))
        if mask is not None:
            start = start._replace(mask=masks(mask, n, self.generator.device))
        if required and start.y is None:
            raise ConditionError("the energy requires a condition y; say which: y=…, --y, label")
        return start

    def _started(self, batch: Start, labels: Tensor | None) -> Start:
        """Return the chains that a copy of the run's starts from a batch.

        Beyond its `size`, if it has one, they are a random choice of those.
        """
        n, start = len(batch.x), batch._replace(y=labels)
        most = min(n, getattr(self.chains, "size", n))
        if most < n:
            start = rows(start, torch.arange(most, device=batch.x.device))
        with borrowed(self.chains) as chains:
            begun = start_chains(
                chains,
                start.x,
                generator=self.generator,
                y=start.y,
                mask=start.mask,
                space=self.space,
            )
        return begun if most == n else rows(begun, random_indices(most, n, self.generator))

    def _noise(self, n: int) -> Start:
        low, high = self.bounds.unbind()
        shape, device = (n, *low.shape), self.generator.device
        if not isinstance(self.space, Real):
            return Start(self.space.sample(shape, self.generator, device, low.dtype))
        noise = torch.rand(shape, generator=self.generator, device=device, dtype=low.dtype)
        return Start(low + (high - low) * noise)

    def _drawn_labels(self, n: int, kept: Start | None) -> Tensor | None:
        labels = self.labels if kept is None or kept.y is None else kept.y
        return None if labels is None else labels[random_indices(len(labels), n, self.generator)]

    def _drawn_masks(self, n: int) -> Tensor | None:
        if self.masks is None:
            return None
        return self.masks[random_indices(len(self.masks), n, self.generator)]


def remembers(chains: Chains) -> bool:
    """Whether chains take the ends of a training step, so that they may begin there again."""
    return getattr(type(chains), "keep", Chains.keep) is not Chains.keep


def conditions(y: Any, n: int, device: torch.device) -> Tensor:
    """Return the conditions of n chains: a number is that of all. Raises ValueError at others."""
    wanted = torch.as_tensor(y, device=device)
    wanted = wanted.expand(n) if wanted.ndim == 0 else wanted
    if len(wanted) != n:
        raise ConditionError(f"y should be a number, or one row for each of {n}; got {len(wanted)}")
    return wanted


def masks(mask: Any, n: int, device: torch.device) -> Tensor:
    """Return the masks of n chains: one of (T,) is that of all. Raises ValueError at others."""
    wanted = torch.as_tensor(mask, device=device).bool()
    wanted = wanted.expand(n, *wanted.shape) if wanted.ndim == 1 else wanted
    if wanted.ndim < 2 or len(wanted) != n:
        raise ConditionError(
            f"mask should have shape (T,), or one row for each of {n}; got {tuple(wanted.shape)}"
        )
    return wanted


def chosen(
    labels: Tensor | None, size: int, wanted: Tensor | None, n: int, generator: Generator
) -> Tensor:
    """Return n random numbers of rows, where it can of rows with the wanted labels."""
    if labels is None or wanted is None or labels.ndim != 1 or wanted.ndim != 1:
        return random_indices(size, n, generator)
    found = torch.empty(n, dtype=torch.int64, device=generator.device)
    for label in torch.unique(wanted):
        places = wanted == label
        (same,) = torch.where(labels == label)
        there = same if len(same) else torch.arange(size, device=labels.device)
        found[places] = there[random_indices(len(there), int(places.sum()), generator)]
    return found


def rows(start: Start, index: Tensor) -> Start:
    """Return some of the chains, by their numbers."""
    carried = {name: value[index] for name, value in start.carried.items()}
    y, fresh, mask = (None if t is None else t[index] for t in (start.y, start.fresh, start.mask))
    return Start(start.x[index], y, carried, fresh, mask)


def random_indices(size: int, n: int, generator: Generator) -> Tensor:
    """Return n random indices below size, without repeats if n <= size."""
    device = generator.device
    if n <= size:
        return torch.randperm(size, generator=generator, device=device)[:n]
    return torch.randint(size, (n,), generator=generator, device=device)
