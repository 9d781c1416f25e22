"""The suite that all others extend: find the component, build it, run one check by name.

A suite is a plain class. pytest collects its `test_<check>` methods; without pytest, `run(check)`
does. Facts about a component that a check needs (`order`, `piecewise_linear`, …) are attributes of
the suite, or else of the component itself; each suite's file lists its own. For all kinds:

    check_params         a mapping, or a list of mappings: keys to check the component with; one
                         that takes a component may be `{"type": …}`, as in a config
    check_event_shapes   the event shapes to try, by default those of check_batch, or else [(2,)]
    check_networks       called with an event shape, returns the networks beside the energy by name
    check_energy         makes the energy to check with, an nn.Module; it may name event_shape
    check_batch          makes n rows of data: x, (x, y) or {"x": x, "t": t, …}; it may name n,
                         event_shape and generator
    check_space          the event space that events are drawn from, such as Binary()
    expected_failures    check -> why it must fail: on the component for `ebmcore check`, on the
                         suite for pytest

A suite may define each of the three as a method, with `self`, or override `energy`, `rows` or
`events`, which use them.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ebmcore import Real
from ebmcore.config import Node, build
from ebmcore.data import default_dtype
from ebmcore.errors import EbmError, raised_at
from ebmcore.plugins import Host
from ebmcore.train import own_global_stream
from ebmcore_testing.declarations import check_event_shapes, event_shapes, given
from ebmcore_testing.failures import CheckFailed, NotApplicable
from ebmcore_testing.measures import lattice
from ebmcore_testing.measures.inputs import make_batch, make_energy
from ebmcore_testing.measures.models import Gaussian
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.nested_params import checked_values

_CPU = torch.device("cpu")
_PREFIX = "test_"
_SHAPE = (2,)  # of events that check_batch is free to ignore


class Suite:
    """The checks of one kind of component."""

    kind: ClassVar[str] = ""
    taken_for_granted: ClassVar[str] = "a shape, dtype or device"  # usual causes of an exception
    component: ClassVar[Any] = None  # its name, `plugin:name`, or the class or function itself
    params: ClassVar[Mapping[str, Any]] = {}  # its config keys
    event_shapes: ClassVar[Sequence[tuple[int, ...]] | None] = None
    expected_failures: ClassVar[Mapping[str, str]] = {}  # check -> why
    check_energy: Any = None
    check_batch: Any = None
    check_space: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Mark the failures that are expected, so that pytest knows them."""
        super().__init_subclass__(**options)
        for check, reason in cls.expected_failures.items():
            if check not in cls.checks():
                near = difflib.get_close_matches(check, cls.checks(), 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise EbmError(
                    f"{cls.__name__}.expected_failures: no check {check!r}; {hint}"
                    f"checks: {', '.join(cls.checks())}"
                )
            _expect_failure(cls, _PREFIX + check, reason)

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """List the checks' names, the kind's own before those that it inherits."""
        names = (name for base in cls.__mro__ for name in vars(base))
        return tuple(dict.fromkeys(n.removeprefix(_PREFIX) for n in names if n.startswith(_PREFIX)))

    @classmethod
    def target(cls) -> Any:
        """Return the class or the function. Raises EbmError when it can't be found."""
        if not isinstance(cls.component, str):
            if cls.component is None:
                raise EbmError(f"{cls.__name__}: say which component it checks: component = …")
            return cls.component
        if "_found" not in vars(cls):
            cls._found = Host.discover().find(cls.kind, cls.component).load()
        return cls._found

    _found: ClassVar[Any]

    def run(self, check: str) -> None:
        """Run one check. Raises CheckFailed, also for what the component raised, NotApplicable."""
        try:
            getattr(self, _PREFIX + check)()
        except (CheckFailed, NotApplicable):
            raise
        except (Exception, SystemExit) as error:
            raise CheckFailed(
                check,
                expected="the component does as it is asked",
                measured=f"it raised {type(error).__name__}: {error} ({raised_at(error)})",
                allowed="no exception",
                cause=f"{self.taken_for_granted} that the component takes for granted, or a "
                "mistake in it that has nothing to do with this check",
            ) from error

    def declared(self, name: str, default: Any = None, *, of: Any = None) -> Any:
        """Return a fact: the suite's word, else that of what was built, else of the component."""
        for source in (self, of, type(self).target()):
            value = getattr(source, name, None)
            if value is not None:
                return value
        return default

    def given(self, name: str) -> Any:
        """Return `check_energy`, `check_batch` or `check_space`, or None, the suite's first."""
        return given(name, self, type(self).target())

    def space(self) -> Any:
        """Return the event space to check in: `check_space`, or one that is served; None: all R."""
        space = self.given("check_space")
        if space is None:
            space = lattice.first_space(getattr(type(self).target(), "spaces", None) or ())
        return lattice.as_instance(space)

    def is_discrete(self) -> bool:
        """Tell whether the event space holds finitely many events."""
        return lattice.sizes(self.space(), self.shapes()[0]) is not None

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the event shapes to try."""
        if self.event_shapes:
            return event_shapes(self.event_shapes)
        batch = self.given("check_batch")
        if batch is not None and not self.given("check_event_shapes"):
            x = make_batch(batch, 2, _SHAPE, seeded(0), torch.float64)["x"]
            return (tuple(x.shape[1:]),)
        return check_event_shapes(type(self).target())

    def energy(self, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float64) -> nn.Module:
        """Make the energy to try the component on: `check_energy`, or else a Gaussian."""
        own = self.given("check_energy")
        if own is None:
            return Gaussian(shape, scale=1.2, mean=0.3).to(dtype)
        with default_dtype(dtype), own_global_stream(0, _CPU):
            return make_energy(own, self._slots(shape, 0, dtype, _CPU)).to(dtype)

    def rows(
        self, n: int, shape: tuple[int, ...], *, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> dict[str, Any]:
        """Make n rows of data, by their slots (`x`, `y`, …): of `check_batch`, or else x alone."""
        own = self.given("check_batch")
        if own is None:
            return {"x": self.events(n, shape, seed=seed, dtype=dtype)}
        found = make_batch(own, n, shape, seeded(seed), dtype)
        if tuple(found["x"].shape) != (n, *shape):
            raise EbmError(
                f"check_batch should return {n} events of shape {shape}; got x of shape "
                f"{tuple(found['x'].shape)}. It may name n and event_shape; declare "
                "check_event_shapes where it can't make all shapes."
            )
        return found

    def events(
        self, n: int, shape: tuple[int, ...], *, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Draw events to try the component on: of `check_batch`, of its space, or else N(0, I)."""
        if self.given("check_batch") is not None:
            x: Tensor = self.rows(n, shape, seed=seed, dtype=dtype)["x"]
            return x
        return lattice.draw(self.space(), (n, *shape), seed, dtype)

    def build(
        self,
        *,
        event_shape: tuple[int, ...] | None = None,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device = _CPU,
        aside: bool = True,
    ) -> Any:
        """Make the component, as a run does; `aside` keeps it from the global random streams."""
        shape = event_shape or self.shapes()[0]
        slots = self._slots(shape, seed, dtype, device)
        stream = own_global_stream(seed, _CPU) if aside else nullcontext()
        with default_dtype(dtype), stream, device if device != _CPU else nullcontext():
            return build(self.node(), slots)

    def node(self) -> Node:
        """Return the component with its keys, as a config's reader makes it."""
        target, known = type(self).target(), type(self).component
        own = getattr(target, "__name__", type(target).__name__)  # an object has none
        name = known if isinstance(known, str) else own
        return Node(self.kind, self.kind, name, target, None, self._values(target), {}, {})

    def beside(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the networks beside the energy, by name."""
        make = self.declared("check_networks")
        return {} if make is None else dict(make(shape))

    def _slots(
        self, shape: tuple[int, ...], seed: int, dtype: torch.dtype, device: torch.device
    ) -> dict[str, Any]:
        return {
            "event_shape": shape,
            "data_range": torch.stack([torch.full(shape, -3.0), torch.full(shape, 3.0)]).to(dtype),
            "space": self.space() or Real(),
            "generator": seeded(seed),
            "device": device,
            "networks": self.beside(shape),
            "training_data": self.events(256, shape, seed=seed, dtype=dtype),
        }

    def _values(self, target: Callable[..., Any]) -> dict[str, Any]:
        try:
            json.dumps(dict(self.params))
        except TypeError:  # objects, which no config could hold
            return dict(self.params)
        try:
            return checked_values(target, self.params, self.kind)
        except EbmError as error:
            raise EbmError(f"{type(self).__name__}.params: {error}") from error


def _expect_failure(cls: type[Suite], method: str, reason: str) -> None:
    """Mark a copy of a method, so that the suite that it came from stays as it was."""
    try:
        import pytest
    except ImportError:  # then nobody reads the mark
        return
    original = getattr(cls, method)

    @functools.wraps(original)
    def expected(self: Suite) -> None:
        original(self)

    setattr(cls, method, pytest.mark.xfail(strict=True, reason=reason)(expected))
