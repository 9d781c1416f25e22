"""The suite of chains: where batches of chains begin, and whether each goes back to its place."""

from __future__ import annotations

import copy

import torch

from ebmcore import Start, start_chains
from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.host_sync import require_no_sync
from ebmcore_testing.measures.memory import MemoryChecks, events, same
from ebmcore_testing.measures.observed import (
    require_plain,
    seeded,
    streams_untouched,
    tensors_untouched,
)


class ChainsSuite(MemoryChecks):
    """The checks of chains; a batch is 16 events."""

    def test_shape(self) -> None:
        """The shape, dtype and device of the batch; finite, without a graph."""
        for shape in self.shapes():
            for dtype in (torch.float32, torch.float64):
                x = self.batch(shape, dtype=dtype)
                begin = start_chains(self.chains(shape=shape), x, generator=seeded(1)).x
                require(
                    begin.shape == x.shape and begin.dtype == x.dtype and not begin.requires_grad,
                    "shape",
                    expected=f"points of shape {tuple(x.shape)}, {x.dtype}, without a graph",
                    measured=f"shape {tuple(begin.shape)}, {begin.dtype}",
                    allowed="nothing else",
                    cause="noise drawn without dtype=x.dtype, or for one event too few",
                )
                require(
                    bool(begin.isfinite().all()),
                    "shape",
                    expected="finite starting points",
                    measured="some are NaN or infinite",
                    allowed="none",
                    cause="torch.empty that was not filled",
                )

    def test_device(self) -> None:
        """Starting points stand where the batch does; tried on the meta device, as by --dry-run."""
        x = self.batch().to("meta")
        begin = start_chains(self.chains(), x, generator=seeded(1)).x
        require(
            begin.device == x.device,
            "device",
            expected="starting points on the device of x, meta",
            measured=str(begin.device),
            allowed="the device of x",
            cause="noise drawn without device=x.device",
        )

    def test_no_host_sync(self) -> None:
        """No `start` and no `keep` waits for an accelerator, but for the first, which may."""
        x, chains, generator = self.batch(), self.chains(), seeded(1)
        start_chains(chains, x, generator=generator)
        chains.keep(Start(self.ends(x)))
        ends = Start(self.ends(x, 1))
        with require_no_sync("no_host_sync"):
            start_chains(chains, x, generator=generator)
            chains.keep(ends)

    def test_inputs_untouched(self) -> None:
        """The batch is left as it was, and no global random stream moves."""
        x, chains = self.batch(), self.chains()
        check = "inputs_untouched"
        with streams_untouched(check), tensors_untouched(check, {"x": x}):
            start_chains(chains, x, generator=seeded(1))
            chains.keep(Start(self.ends(x)))

    def test_state_round_trip(self) -> None:
        """Other chains go on the same from state_dict, which holds tensors and JSON types."""
        x, chains = self.batch(), self.chains()
        for seed in (3, 4):
            start_chains(chains, x, generator=seeded(seed))
            chains.keep(Start(self.ends(x, seed)))
        state = chains.state_dict()
        require_plain("state_round_trip", state)
        other = self.chains(seed=9)
        other.load_state_dict(copy.deepcopy(state))
        for seed in (5, 6):
            begins = [start_chains(one, x, generator=seeded(seed)).x for one in (chains, other)]
            require(
                torch.equal(*begins) and same(events(chains.kept()), events(other.kept())),
                "state_round_trip",
                expected="the same starting points after load_state_dict(state_dict())",
                measured=f"a difference of {float((begins[0] - begins[1]).abs().max()):.3g}",
                allowed="0",
                cause="a buffer, or the slots of the last start, that state_dict leaves out",
            )
            for one in (chains, other):
                one.keep(Start(self.ends(x, seed)))

    def test_reproducible(self) -> None:
        """The same generator's seed begins at the same places."""
        x = self.batch()
        begins = [start_chains(self.chains(seed), x, generator=seeded(7)).x for seed in (1, 2)]
        require(
            torch.equal(*begins),
            "reproducible",
            expected="the same starting points from generators of the same seed",
            measured=f"a difference of {float((begins[0] - begins[1]).abs().max()):.3g}",
            allowed="0",
            cause="a draw without generator=generator",
        )

    def test_begins_without_data(self) -> None:
        """Chains that say `begins_at_data = False` begin at the same places for other data."""
        if getattr(self.chains(), "begins_at_data", True):
            raise NotApplicable("it doesn't say that it never begins at the data")
        x = self.batch()
        begins = []
        for batch in (x, x.flip(0)):  # of the same range
            chains = self.chains()
            first = start_chains(chains, batch, generator=seeded(1)).x.clone()
            chains.keep(Start(self.ends(x)))
            begins.append(torch.cat([first, start_chains(chains, batch, generator=seeded(2)).x]))
        require(
            torch.equal(*begins),
            "begins_without_data",
            expected="the same starting points whatever the rows of the batch",
            measured=f"a difference of {float((begins[0] - begins[1]).abs().max()):.3g}",
            allowed="0: samples that judge a model would begin at the data",
            cause="`begins_at_data = False` on chains that begin at events of the batch",
        )
