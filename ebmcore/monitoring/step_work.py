"""Work that the monitors of one step share: a pool of draws from the model, and their own results.

    pool(n_steps) = block 0, block 1, …      view.sample(n, n_steps) = the first n rows of it

The blocks' sizes don't depend on how many events are asked for, and each has a random stream of its
own. So a monitor's numbers don't depend on which monitors run beside it, nor on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.monitoring.model_samples import ModelSamples, random_indices
from ebmcore.train.rng import own_global_stream

SMALLEST = 64  # chains of the first block; each next one doubles the pool, up to LARGEST
LARGEST = 1024  # chains of a block on a CPU: the activations of more don't fit in its cache
LARGEST_ON_DEVICE = 16_384


class StepWork:
    """Results at one step, each made once, with a random stream of its own.

    Args:
        seed: Returns the seed of a stream by its name.
        device: The device of the generators.
    """

    def __init__(self, seed: Callable[[str], int], device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[Generator], Any]) -> Any:
        """Return the result of `make` under a key; only the first call of a key makes it.

        `make` gets a generator, and finds torch's global one reseeded, both by the key alone.
        """
        if key not in self._made:
            seed = self.seed(repr(key))
            with own_global_stream(seed, self.device):
                self._made[key] = make(Generator(self.device).manual_seed(seed))
        return self._made[key]

    def sample(self, samples: ModelSamples, n: int, n_steps: int | None) -> Tensor:
        """Return the first n events of the pool of n_steps, (n, *event).

        Of chains that keep their places each begins about equally often, and none a second time
        before all did.
        """
        steps = samples.default_steps if n_steps is None else n_steps
        if n < 1:
            return samples.sample(n, steps)  # raises
        parts = []
        for number, (first, end) in enumerate(_blocks(n, self.device)):

            def block(generator: Generator, first: int = first, end: int = end) -> Tensor:
                own = samples._replace(generator=generator)
                return own.draw(end - first, steps, kept=self._order(own, steps, first, end)).x

            parts.append(self.once(("samples", steps, number), block))
        return torch.cat(parts)[:n]

    def _order(self, samples: ModelSamples, steps: int, first: int, end: int) -> Tensor | None:
        """Return the numbers of the kept chains at which a block begins; None without any."""
        size = samples.n_kept
        if not size:
            return None
        rounds = range(first // size, (end - 1) // size + 1)
        orders = [
            self.once(("kept chains", steps, i), lambda g: random_indices(size, size, g))
            for i in rounds
        ]
        return torch.cat(orders)[first - rounds[0] * size :][: end - first]


def _blocks(n: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Yield the first row of each block and the one after its last, until there are n rows."""
    largest = LARGEST if device.type == "cpu" else LARGEST_ON_DEVICE
    end = 0
    while end < n:
        first, end = end, end + min(max(end, SMALLEST), largest)
        yield first, end
