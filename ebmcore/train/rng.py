"""Random streams: one for each purpose, so that a part's draws don't shift another's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor

DATA_ORDER = "data order"

# purposes whose draws differ from rank to rank; all other draws are the same on every rank
_OWN = ("chains", "sampler", "loss ", "data noise", "global", "build chains ", "build sampler ")


def derive(seed: int, purpose: str, rank: int = 0) -> int:
    """Return the seed of one stream: a hash of (seed, purpose, rank), 63 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def rank_of(purpose: str, rank: int) -> int:
    """Return the rank whose stream of a purpose a rank draws from: its own, or rank 0's.

    Data, their order, weights and the constructors of losses draw the same on every rank.
    """
    return rank if purpose.startswith(_OWN) else 0


class Streams:
    """The streams of one run, each made at its first use."""

    def __init__(self, seed: int, device: torch.device | None = None, rank: int = 0) -> None:
        self.seed = seed
        self.rank = rank
        # the meta device has no generators
        meta = device is None or device.type == "meta"
        self.device = torch.device("cpu") if device is None or meta else device
        self.renewed = ""  # why the streams were reseeded since the run began
        self._streams: dict[str, Generator] = {}
        self._global_states: list[Tensor] = []  # for `restore_global`

    def __call__(self, purpose: str, *, on_cpu: bool = False) -> Generator:
        """Return the stream of a purpose, on the run's device unless it must be the CPU's."""
        if purpose not in self._streams:
            generator = Generator("cpu" if on_cpu else self.device)
            name = f"{purpose}/{self.renewed}" if self.renewed else purpose
            generator.manual_seed(self.derived(name))
            self._streams[purpose] = generator
        return self._streams[purpose]

    def derived(self, purpose: str) -> int:
        """Return the seed of a purpose on this rank."""
        return derive(self.seed, purpose, rank_of(purpose, self.rank))

    def renew(self, why: str) -> None:
        """Reseed every stream but the data's order, with seeds derived from `why`."""
        self.renewed = why
        for purpose, generator in self._streams.items():  # in place: a part may hold it
            if purpose != DATA_ORDER:
                generator.manual_seed(self.derived(f"{purpose}/{why}"))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every stream, of torch's global generators too."""
        return {
            "renewed": self.renewed,
            "streams": {
                purpose: {"device": generator.device.type, "state": generator.get_state()}
                for purpose, generator in self._streams.items()
            },
            "global": [generator.get_state() for generator in self._global()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every stream; the global generators follow at `restore_global`."""
        self.renewed = state["renewed"]
        for purpose, stream in state["streams"].items():
            on_cpu = stream["device"] == "cpu"
            generator = self._streams.get(purpose)  # in place: a part may hold it
            if generator is None or (generator.device.type == "cpu") != on_cpu:
                generator = Generator("cpu" if on_cpu else self.device)
            generator.set_state(stream["state"])
            self._streams[purpose] = generator
        self._global_states = list(state["global"])
        if len(self._global_states) != len(self._global()):
            raise ValueError(f"{len(self._global_states)} global streams were saved")

    def items(self) -> dict[str, Generator]:
        """Return the streams made so far, by purpose."""
        return dict(self._streams)

    def positions(self) -> list[Tensor]:
        """Return every stream's state now, and that of torch's global generators."""
        return [g.get_state() for g in (*self._streams.values(), *self._global())]

    def rewind(self, positions: list[Tensor]) -> None:
        """Return to `positions`, and drop the streams made since."""
        ours = positions[: len(positions) - len(self._global())]
        names = list(self._streams)
        for name in names[len(ours) :]:
            del self._streams[name]
        generators = [*self._streams.values(), *self._global()]
        for generator, at in zip(generators, positions, strict=True):
            generator.set_state(at)

    def restore_global(self) -> None:
        """Give torch's global generators the loaded state; call it inside `own_global_stream`."""
        for generator, at in zip(self._global(), self._global_states, strict=False):
            generator.set_state(at)
        self._global_states = []

    def _global(self) -> list[Any]:
        """Return torch's global generators that parts may draw from."""
        found: list[Any] = [torch.default_generator]
        if self.device.type != "cpu":
            found.append(_GlobalOn(self.device))
        return found


class _GlobalOn:
    """The global generator of an accelerator."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.module = torch.get_device_module(device)

    def get_state(self) -> Tensor:
        state: Tensor = self.module.get_rng_state(self.device)
        return state

    def set_state(self, state: Tensor) -> None:
        self.module.set_rng_state(state, self.device)


@contextmanager
def own_global_stream(seed: int | None, device: torch.device) -> Iterator[None]:
    """Save torch's global generators and restore them at the end.

    With a seed they are reseeded inside the context; without one they keep their state.
    """
    accelerators = [device] if device.type not in ("cpu", "meta") else []
    kind = device.type if accelerators else "cuda"
    with torch.random.fork_rng(devices=accelerators, device_type=kind):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            if accelerators:
                torch.get_device_module(device).manual_seed(seed)
        yield
