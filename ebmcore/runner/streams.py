"""Random streams: one for each purpose, so that no part's draws shift another's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


def derive(seed: int, purpose: str, rank: int = 0) -> int:
    """Return the seed of one stream: a hash of (seed, purpose, rank), 63 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Streams:
    """The streams of one run; each is made when it is first asked for, and then goes on."""

    def __init__(self, seed: int, device: torch.device | None = None, rank: int = 0) -> None:
        self.seed = seed
        self.rank = rank
        # the meta device computes nothing, and has no generators of its own
        meta = device is None or device.type == "meta"
        self.device = torch.device("cpu") if meta else device
        self._streams: dict[str, Generator] = {}

    def __call__(self, purpose: str, *, on_cpu: bool = False) -> Generator:
        """Return the stream of a purpose, on the run's device unless it must be the CPU's."""
        if purpose not in self._streams:
            generator = Generator("cpu" if on_cpu else self.device)
            generator.manual_seed(derive(self.seed, purpose, self.rank))
            self._streams[purpose] = generator
        return self._streams[purpose]


@contextmanager
def own_global_stream(seed: int | None, device: torch.device) -> Iterator[None]:
    """Give what draws from torch's global generators a stream of its own; restore them after.

    With a seed the stream begins there; without one, where the global generators stand.
    """
    accelerators = [device] if device.type not in ("cpu", "meta") else []
    kind = device.type if accelerators else "cuda"
    with torch.random.fork_rng(devices=accelerators, device_type=kind):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            if accelerators:
                torch.get_device_module(device).manual_seed(seed)
        yield
