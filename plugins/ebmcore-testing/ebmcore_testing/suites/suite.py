"""The suite that all others extend: find the component, build it, run one check by name.

A suite is a plain class. pytest collects its `test_<check>` methods; without pytest, `run(check)`
does. Facts about a component that a check needs (`order`, `piecewise_linear`, …) are attributes of
the suite, or else of the component itself; each suite's file lists its own. For all kinds:

    check_params         a mapping, or a list of mappings: keys to check the component with
    check_event_shapes   the event shapes to try, by default [(2,)]
    expected_failures    check -> why it must fail: on the component for `ebmcore check`, on the
                         suite for pytest
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor

from ebmcore import Real
from ebmcore.config import Node, build, check_values, component_parameters
from ebmcore.data import default_dtype
from ebmcore.errors import EbmError, raised_at
from ebmcore.plugins import Host
from ebmcore.train import own_global_stream
from ebmcore_testing.declarations import check_event_shapes, event_shapes
from ebmcore_testing.failures import CheckFailed, NotApplicable
from ebmcore_testing.measures.observed import seeded

_CPU = torch.device("cpu")
_PREFIX = "test_"


class Suite:
    """The checks of one kind of component."""

    kind: ClassVar[str] = ""
    component: ClassVar[Any] = None  # its name, `plugin:name`, or the class or function itself
    params: ClassVar[Mapping[str, Any]] = {}  # its config keys
    event_shapes: ClassVar[Sequence[tuple[int, ...]] | None] = None
    expected_failures: ClassVar[Mapping[str, str]] = {}  # check -> why

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
                cause="a shape, dtype or device that the component takes for granted, or a mistake "
                "in it that has nothing to do with this check",
            ) from error

    def declared(self, name: str, default: Any = None, *, of: Any = None) -> Any:
        """Return a fact: the suite's word, else that of what was built, else of the component."""
        for source in (self, of, type(self).target()):
            value = getattr(source, name, None)
            if value is not None:
                return value
        return default

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the event shapes to try."""
        if self.event_shapes:
            return event_shapes(self.event_shapes)
        return check_event_shapes(type(self).target())

    def events(
        self, n: int, shape: tuple[int, ...], *, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Draw events to try the component on, N(0, I); override it for a component of others."""
        return torch.randn((n, *shape), generator=seeded(seed), dtype=dtype)

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
        target = type(self).target()
        shape = event_shape or self.shapes()[0]
        slots = {
            "event_shape": shape,
            "data_range": torch.stack([torch.full(shape, -3.0), torch.full(shape, 3.0)]).to(dtype),
            "space": Real(),
            "generator": seeded(seed),
            "device": device,
            "training_data": self.events(256, shape, seed=seed, dtype=dtype),
        }
        known = type(self).component
        own = getattr(target, "__name__", type(target).__name__)  # an object has none
        name = known if isinstance(known, str) else own
        node = Node(self.kind, self.kind, name, target, None, self._values(target), {}, {})
        stream = own_global_stream(seed, _CPU) if aside else nullcontext()
        with default_dtype(dtype), stream, device if device != _CPU else nullcontext():
            return build(node, slots)

    def _values(self, target: Callable[..., Any]) -> dict[str, Any]:
        try:
            json.dumps(dict(self.params))
        except TypeError:  # objects, which no config could hold
            return dict(self.params)
        checked = check_values(component_parameters(target), dict(self.params))
        if checked.faults:
            faults = "; ".join(f"{place}: {message}" for place, message in checked.faults)
            raise EbmError(f"{type(self).__name__}.params: {faults}")
        return checked.values


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
