"""Random streams: one for each purpose, so that no part's draws shift another's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor

DATA_ORDER = "data order"

# the purposes whose draws differ from rank to rank; all ranks make the same of the others
_OWN = ("chains", "sampler", "loss ", "data noise", "global", "build chains ", "build sampler ")


def derive(seed: int, purpose: str, rank: int = 0) -> int:
    """Return the seed of one stream: a hash of (seed, purpose, rank), 63 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def rank_of(purpose: str, rank: int) -> int:
    """Return the rank whose stream of a purpose a rank draws from: its own, or rank 0's.

    Data, their order, weights and what losses are built with are the same for all.
    """
    return rank if purpose.startswith(_OWN) else 0


class Streams:
    """The streams of one run; each is made when it is first asked for, and then goes on."""

    def __init__(self, seed: int, device: torch.device | None = None, rank: int = 0) -> None:
        self.seed = seed
        self.rank = rank
        # the meta device computes nothing, and has no generators of its own
        meta = device is None or device.type == "meta"
        self.device = torch.device("cpu") if device is None or meta else device
        self.renewed = ""  # why the noise is no longer that of the run's beginning
        self._streams: dict[str, Generator] = {}
        self._global_states: list[Tensor] = []  # to be taken up by a run that goes on

    def __call__(self, purpose: str, *, on_cpu: bool = False) -> Generator:
        """Return the stream of a purpose, on the run's device unless it must be the CPU's."""
        if purpose not in self._streams:
            generator = Generator("cpu" if on_cpu else self.device)
            name = f"{purpose}/{self.renewed}" if self.renewed else purpose
            generator.manual_seed(self.derived(name))
            self._streams[purpose] = generator
        return self._streams[purpose]

    def derived(self, purpose: str) -> int:
        """Return the seed of a purpose for this rank, for what takes a seed of its own."""
        return derive(self.seed, purpose, rank_of(purpose, self.rank))

    def renew(self, why: str) -> None:
        """Begin every stream afresh but that of the data's order, at seeds derived from `why`."""
        self.renewed = why
        for purpose, generator in self._streams.items():  # in place: a part may hold its own
            if purpose != DATA_ORDER:
                generator.manual_seed(self.derived(f"{purpose}/{why}"))

    def state_dict(self) -> dict[str, Any]:
        """Return where every stream stands, torch's global ones included."""
        return {
            "renewed": self.renewed,
            "streams": {
                purpose: {"device": generator.device.type, "state": generator.get_state()}
                for purpose, generator in self._streams.items()
            },
            "global": [generator.get_state() for generator in self._global()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put every stream where `state_dict` found it; the global ones at `restore_global`."""
        self.renewed = state["renewed"]
        for purpose, stream in state["streams"].items():
            on_cpu = stream["device"] == "cpu"
            generator = self._streams.get(purpose)  # in place: a part may hold its own
            if generator is None or (generator.device.type == "cpu") != on_cpu:
                generator = Generator("cpu" if on_cpu else self.device)
            generator.set_state(stream["state"])
            self._streams[purpose] = generator
        self._global_states = list(state["global"])
        if len(self._global_states) != len(self._global()):
            raise ValueError(f"{len(self._global_states)} global streams were saved")

    def items(self) -> dict[str, Generator]:
        """Return the streams that were asked for, by purpose."""
        return dict(self._streams)

    def positions(self) -> list[Tensor]:
        """Return where every stream stands now, torch's global ones included."""
        return [g.get_state() for g in (*self._streams.values(), *self._global())]

    def rewind(self, positions: list[Tensor]) -> None:
        """Put the streams where `positions` found them, and drop those made since."""
        ours = positions[: len(positions) - len(self._global())]
        names = list(self._streams)
        for name in names[len(ours) :]:
            del self._streams[name]
        generators = [*self._streams.values(), *self._global()]
        for generator, at in zip(generators, positions, strict=True):
            generator.set_state(at)

    def restore_global(self) -> None:
        """Put torch's global streams where a loaded state had them; call it once they are lent."""
        for generator, at in zip(self._global(), self._global_states, strict=False):
            generator.set_state(at)
        self._global_states = []

    def _global(self) -> list[Any]:
        """Return torch's own generators that parts may draw from."""
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
