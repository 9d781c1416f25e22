"""The suite of networks: modules that can be built anywhere, moved, saved and trained.

The losses that name a network know its inputs and outputs; this suite does not. It calls a network
that takes one tensor if the network declares its inputs:

    check_inputs(n)   n inputs of one call, (n, …); not needed beside `latents(n, generator)`
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.measures.observed import seeded, streams_untouched
from ebmcore_testing.suites.suite import Suite


class NetworkSuite(Suite):
    """The checks of a network beside the energy."""

    kind = "network"

    def networks(
        self, *, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> Iterator[tuple[nn.Module, tuple[int, ...]]]:
        """Build the network for each event shape, in evaluation mode."""
        for shape in self.shapes():
            network = self.build(event_shape=shape, seed=seed, dtype=dtype)
            require(
                isinstance(network, nn.Module),
                "built",
                expected="an nn.Module, which an optimiser can train",
                measured=type(network).__name__,
                allowed="a subclass of torch.nn.Module",
                cause="a plain class or a function that returns none",
            )
            yield network.to(dtype).eval(), shape

    def inputs(self, network: Any, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return n inputs. Raises NotApplicable when the network says not how it is called."""
        given = self.declared("check_inputs", of=network)
        if given is not None:
            made: Tensor = given(n)
            return made.to(dtype)
        if hasattr(network, "latents"):
            drawn: Tensor = network.latents(n, seeded(5))
            return drawn
        raise NotApplicable("it declares no check_inputs and has no `latents`, so it isn't called")

    def test_built(self) -> None:
        """It is a module, with weights to train, of one dtype, and finite."""
        for network, _ in self.networks():
            weights = [p for p in network.parameters() if p.requires_grad]
            finite = all(bool(p.isfinite().all()) for p in weights)
            require(
                bool(weights) and finite,
                "built",
                expected="weights to train, each of them finite",
                measured="none" if not weights else "some are NaN or infinite",
                allowed="at least one parameter with requires_grad",
                cause="layers in a plain list, which registers nothing: use nn.ModuleList; or "
                "torch.empty that was not filled",
            )

    def test_dtype(self) -> None:
        """All of it follows `.to(dtype)`, and so does what it computes."""
        for dtype in (torch.float32, torch.float64):
            for network, _ in self.networks(dtype=dtype):
                found = network(self.inputs(network, 3, dtype)).dtype
                require(
                    found == dtype,
                    "dtype",
                    expected=f"results of {dtype} for inputs and weights of {dtype}",
                    measured=str(found),
                    allowed="the same dtype",
                    cause="a tensor that is no buffer and so stays behind when it is moved",
                )

    def test_meta_device(self) -> None:
        """Built on the meta device, as `--dry-run` does it."""
        meta = torch.device("meta")
        for shape in self.shapes():
            network = self.build(event_shape=shape, device=meta)
            tensors = [*network.parameters(), *network.buffers()]
            elsewhere = {str(t.device) for t in tensors} - {"meta"}
            require(
                not elsewhere,
                "meta_device",
                expected="parameters and buffers on the meta device",
                measured=", ".join(sorted(elsewhere)),
                allowed="meta alone",
                cause="a tensor made with device='cpu', or copied from one that lies there",
            )

    def test_state_dict_round_trip(self) -> None:
        """Another one, built from another seed, gets the same state by load_state_dict."""
        pairs = zip(self.networks(seed=1), self.networks(seed=2), strict=True)
        for (network, _), (other, _) in pairs:
            state = copy.deepcopy(network.state_dict())
            other.load_state_dict(state)
            again = other.state_dict()
            require(
                all(torch.equal(state[name], again[name]) for name in state),
                "state_dict_round_trip",
                expected="the same state after load_state_dict(state_dict())",
                measured="another one",
                allowed="no difference",
                cause="a state_dict or load_state_dict of its own that changes a tensor",
            )
            require_close(
                "state_dict_round_trip",
                other(self.inputs(network, 5)).detach(),
                network(self.inputs(network, 5)).detach(),
                expected="the same results after load_state_dict(state_dict())",
                cause="a tensor that is neither a Parameter nor a registered buffer, and so is "
                "lost when a run is loaded",
                tolerance=1e-12,
            )

    def test_gradient(self) -> None:
        """A gradient reaches each of its weights."""
        for network, _ in self.networks():
            value = network(self.inputs(network, 16)).square().sum()
            named = [(k, p) for k, p in network.named_parameters() if p.requires_grad]
            found = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
            missed = [k for (k, _), g in zip(named, found, strict=True) if g is None]
            require(
                not missed,
                "gradient",
                expected="a gradient for every weight that is to be trained",
                measured=f"none for {', '.join(missed)}",
                allowed="none missing",
                cause="a detach, a no_grad or an .item() in forward, or a layer that is never used",
            )

    def test_samples(self) -> None:
        """`sample(n, generator)` draws n finite events, the same for one seed, in no other way."""
        for network, shape in self.networks():
            sample: Any = getattr(network, "sample", None)
            if sample is None:
                raise NotApplicable("it has no `sample`")
            with streams_untouched("samples"):
                drawn = [sample(6, seeded(seed)).detach() for seed in (1, 1, 2)]
            require(
                tuple(drawn[0].shape) == (6, *shape) and bool(drawn[0].isfinite().all()),
                "samples",
                expected=f"6 finite events of shape {shape}",
                measured=f"shape {tuple(drawn[0].shape)}, or not finite",
                allowed="nothing else",
                cause="a last layer of another size than the event's, or no reshape",
            )
            require(
                torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2]),
                "samples",
                expected="the same events from generators of the same seed, and others of another",
                measured="other events, or always the same ones",
                allowed="that alone",
                cause="a draw without generator=generator",
            )
