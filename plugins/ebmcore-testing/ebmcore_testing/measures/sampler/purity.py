"""The checks that a step is pure: it writes to nothing, reads no value, and remembers nothing.

A sampler that means to remember something offers `state_dict` and `load_state_dict`: it is then
held to the same answers after they put its memory back. An info may declare `axes`, a mapping from
fields to the names of their axes; a field that it doesn't name is of shape (chains,).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore.errors import raised_at
from ebmcore_testing.failures import CheckFailed, NotApplicable, require
from ebmcore_testing.host_sync import require_no_sync
from ebmcore_testing.measures.observed import same_bits, seeded, tensors_untouched
from ebmcore_testing.measures.sampler.calls import SamplerCalls

_CPU, _META = torch.device("cpu"), torch.device("meta")


class PurityChecks(SamplerCalls):
    """Checks of one step of a sampler, and of its info."""

    def test_writes_to_nothing(self) -> None:
        """A step leaves the state and the noise that it got as they were, bit for bit."""
        kernel = self._kernel()
        energy, x = self.moved()
        state, noise = self.begin(kernel, energy, x), kernel.noise(x, seeded(1))
        there = {"x": x, **_named(state, "state")}
        there |= {f"noise[{i}]": part for i, part in enumerate(noise)}
        with tensors_untouched("writes_to_nothing", there):
            kernel.step(energy, state, noise)

    def test_reads_no_value(self) -> None:
        """A step runs on the meta device, where tensors have no values to read."""
        energy, x = self.moved()
        noise = tuple(part.to(_META) for part in self._kernel().noise(x, seeded(1)))
        energy, x = energy.to(_META), x.to(_META)
        try:
            energy(x)
        except Exception as error:  # then no fault of the sampler shows
            raise NotApplicable(f"its energy doesn't run on the meta device: {error}") from error
        try:
            kernel = self._kernel(_META)
            kernel.step(energy, self.begin(kernel, energy, x), noise)
        except Exception as error:  # a stranger's code may raise anything
            if "no fake impl or Meta kernel" in str(error) and "aten::equal" not in str(error):
                raise NotApplicable(f"torch can't run it on the meta device: {error}") from error
            raise CheckFailed(
                "reads_no_value",
                expected="`init` and `step` run on the meta device, as in --dry-run",
                measured=f"there it raised {type(error).__name__}: {error} ({raised_at(error)})",
                allowed="no read of a tensor's value, and all tensors on the device of x",
                cause=".item(), float(), bool(), .tolist(), .cpu(), .numpy() or an `if` on a "
                "tensor, each of which halts an accelerator; or a tensor made without "
                "device=x.device. Use torch.where",
            ) from error

    def test_no_host_sync(self) -> None:
        """Steps, their draws too, never wait for an accelerator, or only where they declare it."""
        energy, x = self.moved()
        kernel, generator = self._kernel(), seeded(1)
        self.go(energy, x, 1, generator, kernel)  # what it does once isn't a step's
        with require_no_sync("no_host_sync", waits=getattr(kernel, "waits", "")):
            self.go(energy, x, 2, generator, kernel)

    def test_remembers_nothing(self) -> None:
        """The same state and noise give the same bits again, and from a fresh sampler."""
        energy, x = self.moved()
        first, fresh = self.sampler(), self.sampler()
        memory = _memory(first)
        wanted = self._once(first, energy, x)
        again = self._once(first, energy, x, memory)
        for seed in (2, 3):  # calls of another's, in between
            other = self.events(len(x), tuple(x.shape[1:]), seed=seed)
            self.go(energy, other, 2, seeded(seed), first)
            self.go(energy, other, 2, seeded(seed), fresh)
        later = self._once(first, energy, x, memory)
        other_one = self._once(fresh, energy, x, memory)
        for found, when in (
            (again, "when it was repeated"),
            (later, "after other calls in between"),
            (other_one, "from another sampler of the same keys, which began elsewhere"),
        ):
            changed = [name for name in wanted if not same_bits(wanted[name], found.get(name))]
            require(
                not changed,
                "remembers_nothing",
                expected="the same step from the same state and noise"
                + (", once load_state_dict put its memory back" if memory else ""),
                measured=f"{', '.join(changed)} differ {when}",
                allowed="not a bit",
                cause="a count, an average or a buffer that the object keeps between calls: keep "
                "it in the state, or offer it by state_dict and load_state_dict",
            )

    def test_info(self) -> None:
        """The info is None or a NamedTuple of tensors, of shape (chains,) or as it declares."""
        energy, x = self.moved()
        info = self.go(energy, x, 1, seeded(1)).info
        if info is None:
            raise NotApplicable("it returns no info")
        fields = getattr(info, "_fields", None)
        require(
            isinstance(info, tuple) and fields is not None,
            "info",
            expected="a NamedTuple, or None",
            measured=f"a {type(info).__name__}",
            allowed="a NamedTuple of tensors",
            cause="a dict or a plain tuple",
        )
        axes: Mapping[str, Any] = getattr(info, "axes", None) or {}
        for name, value in zip(fields or (), info, strict=True):
            declared = axes.get(name, ("chains",))
            found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            require(
                isinstance(value, Tensor) and _has_axes(value, declared, len(x)),
                "info",
                expected=f"info.{name}: a tensor with the axes ({', '.join(declared)},), for "
                f"{len(x)} chains",
                measured=found[:80],
                allowed="(chains,), or the axes that the info's class names: "
                f"axes = {{'{name}': ('chains', 'replica')}}",
                cause="text, a Python number, a mean over the batch, or a value for each number "
                "of the event",
            )

    def _kernel(self, device: torch.device = _CPU) -> Any:
        kernel = self.sampler(device)
        if hasattr(kernel, "sample"):
            raise NotApplicable("it offers `sample` whole, so it has no step to look at")
        return kernel

    def _once(
        self, kernel: Any, energy: nn.Module, x: Tensor, memory: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take a step from x, with the sampler's memory as it was, and return all of it by name."""
        if memory:
            kernel.load_state_dict(copy.deepcopy(memory))
        if hasattr(kernel, "sample"):
            end = self.go(energy, x.clone(), 2, seeded(1), kernel)
            return {"x": end.x, **_named(end.info, "info")}
        state = self.begin(kernel, energy, x.clone())
        state, info = kernel.step(energy, state, kernel.noise(state.x, seeded(1)))
        return {**_named(state, "state"), **_named(info, "info")}


def _memory(kernel: Any) -> dict[str, Any]:
    offers = hasattr(kernel, "state_dict") and hasattr(kernel, "load_state_dict")
    return copy.deepcopy(dict(kernel.state_dict())) if offers else {}


def _named(fields: Any, name: str) -> dict[str, Any]:
    """Return the tensors and other values of a NamedTuple by their names."""
    if not isinstance(fields, tuple):
        return {} if fields is None else {name: fields}
    names = getattr(fields, "_fields", range(len(fields)))
    return {f"{name}.{field}": value for field, value in zip(names, fields, strict=True)}


def _has_axes(value: Tensor, axes: Any, chains: int) -> bool:
    sizes = zip(value.shape, axes, strict=False)
    return value.ndim == len(axes) and all(n == chains for n, axis in sizes if axis == "chains")
