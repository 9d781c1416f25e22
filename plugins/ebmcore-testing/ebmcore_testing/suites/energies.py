"""The suite of energies: (batch, *event) -> (batch,), each event by itself, differentiable.

What an energy, or its suite, may declare beside what `suite.py` lists:

    piecewise_linear   true when its Hessian in x is 0 almost everywhere; set in its constructor

With a `check_batch` that returns (x, y), or {"x": x, "t": t}, it is called as E(x, y=y), E(x, t=t).
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from ebmcore import Categorical
from ebmcore.train import own_global_stream
from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.host_sync import require_no_sync
from ebmcore_testing.measures.derivatives import DerivativeChecks
from ebmcore_testing.measures.observed import streams_untouched, tensors_untouched

_CPU = torch.device("cpu")


class EnergySuite(DerivativeChecks):
    """The checks of an energy."""

    def test_shape(self) -> None:
        """One energy for each event, for one event and for several, and each finite."""
        for energy, shape in self.energies():
            for n in (1, 5):
                values = self.values(energy, self.events(n, shape))
                require(
                    tuple(values.shape) == (n,),
                    "shape",
                    expected=f"one energy for each of {n} events of shape {shape}, ({n},)",
                    measured=f"shape {tuple(values.shape)}",
                    allowed="that shape alone",
                    cause="the last layer's dimension of 1 is kept: .squeeze(-1), or sum over all "
                    "of an event's dimensions with .flatten(1).sum(1)",
                )
                require(
                    bool(values.isfinite().all()),
                    "shape",
                    expected="finite energies of standard normal events",
                    measured=f"{int((~values.isfinite()).sum())} of {n} are NaN or infinite",
                    allowed="none",
                    cause="a log or a division without care for 0, or weights that are empty",
                )

    def test_dtype(self) -> None:
        """The energy's dtype is that of x and of the weights."""
        for dtype in (torch.float32, torch.float64):
            for energy, shape in self.energies(dtype=dtype):
                found = self.values(energy, self.events(2, shape, dtype=dtype)).dtype
                require(
                    found == dtype,
                    "dtype",
                    expected=f"energies of {dtype} for events and weights of {dtype}",
                    measured=str(found),
                    allowed="the same dtype",
                    cause="a tensor made in forward without dtype=x.dtype, or a constant that is "
                    "no buffer and so stays behind when the module is moved",
                )

    def test_independence(self) -> None:
        """An event's energy doesn't depend on what else is in the batch, in either mode."""
        for training in (False, True):
            for energy, shape in self.energies():
                values = []
                for seed in (1, 2):
                    x = self.events(6, shape, seed=seed) * (1 if self.is_discrete() else seed)
                    rows = torch.tensor([0, *range(seed, seed + 5)])
                    x[0] = self.events(1, shape, seed=3)[0]
                    one = copy.deepcopy(energy)  # a module may move its buffers on
                    if isinstance(one, nn.Module):
                        one.train(training)
                    with own_global_stream(0, _CPU):
                        values.append(self.values(one, x, rows).detach()[0])
                require_close(
                    "independence",
                    values[0],
                    values[1],
                    expected="the first event's energy is the same whatever the others are "
                    f"({'train' if training else 'eval'} mode)",
                    cause="batch-norm, or a mean over the batch: p(x) would depend on the batch. "
                    "Normalise within an event (LayerNorm, GroupNorm) or not at all",
                    tolerance=1e-9,
                )

    def test_batch_size(self) -> None:
        """An event's energy is the same alone, in a batch, and in any order of it."""
        for energy, shape in self.energies():
            x = self.events(6, shape)
            rows = torch.arange(6)
            together = self.values(energy, x).detach()
            alone = [self.values(energy, x[i : i + 1], rows[i : i + 1]).detach() for i in rows]
            reverse = self.values(energy, x.flip(0), rows.flip(0)).detach().flip(0)
            for measured in (torch.cat(alone), reverse):
                require_close(
                    "batch_size",
                    measured,
                    together,
                    expected="the same energies alone, in a batch, and in the reverse order",
                    cause="a reshape that mixes events, or a squeeze that eats a batch of one",
                    tolerance=1e-9,
                )

    def test_one_hot(self) -> None:
        """Categories have one energy, as whole numbers and one-hot, if it takes them one-hot."""
        space = self.space()
        if not isinstance(space, Categorical):
            raise NotApplicable("its events aren't categories")
        for energy, shape in self.energies():
            x = self.events(6, shape)
            try:
                found = self.values(energy, space.one_hot(x, shape, torch.float64)).detach()
            except (IndexError, RuntimeError, TypeError, ValueError) as error:
                raise NotApplicable(f"it takes no one-hot events: {error}") from error
            require_close(
                "one_hot",
                found,
                self.values(energy, x).detach(),
                expected="the energies of one-hot events, (batch, *event, k), equal to those of "
                "the same events as whole numbers",
                cause="one-hot numbers read as categories: begin forward with "
                "x = space.one_hot(x, event_shape, dtype)",
                tolerance=1e-9,
            )

    def test_meta_device(self) -> None:
        """Built and called on the meta device, as `--dry-run` does it."""
        meta = torch.device("meta")
        for shape in self.shapes():
            x = self.events(3, shape).to(meta)
            values = self.values(self.build(event_shape=shape, device=meta), x)
            require(
                values.device.type == "meta" and tuple(values.shape) == (3,),
                "meta_device",
                expected="energies of shape (3,) on the meta device",
                measured=f"shape {tuple(values.shape)} on {values.device}",
                allowed="the device of x",
                cause="a tensor made in forward without device=x.device, or a branch on a value",
            )

    def test_no_host_sync(self) -> None:
        """Neither the energies nor their gradients wait for an accelerator."""
        for energy, shape in self.energies():
            x = self.events(3, shape)
            with require_no_sync("no_host_sync"):
                values = self.values(energy, x.requires_grad_(x.is_floating_point()))
                if values.requires_grad:
                    values.sum().backward()  # type: ignore[no-untyped-call] # torch's own

    def test_state_dict_round_trip(self) -> None:
        """Another one, built from another seed, becomes the same energy by load_state_dict."""
        pairs = zip(self.energies(seed=1), self.energies(seed=2), strict=True)
        for (energy, shape), (other, _) in pairs:
            if not isinstance(energy, nn.Module):
                raise NotApplicable("it is no nn.Module, so it has no state_dict")
            x = self.events(5, shape)
            other.load_state_dict(copy.deepcopy(energy.state_dict()))
            require_close(
                "state_dict_round_trip",
                self.values(other, x).detach(),
                self.values(energy, x).detach(),
                expected="the same energies after load_state_dict(state_dict())",
                cause="a tensor that is neither a Parameter nor a registered buffer, and so is "
                "lost when a run is loaded",
                tolerance=1e-12,
            )

    def test_input_untouched(self) -> None:
        """Calling the energy writes to nothing and draws from no global stream."""
        for energy, shape in self.energies():
            x = self.events(4, shape)
            with (
                streams_untouched("input_untouched"),
                tensors_untouched("input_untouched", {"x": x}),
            ):
                self.values(energy, x)
