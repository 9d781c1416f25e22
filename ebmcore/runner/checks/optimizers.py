"""Make optimizers and schedules; say before training which of them a run couldn't resume exactly.

Torch's own keep their state. A stranger's is tried on parameters of a few numbers: it takes some
steps, and another one that gets its state should take the same next steps, bit for bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ebmcore.checkpoint.serialize import pack, unpack
from ebmcore.config import needs_argument
from ebmcore.train.components import Parts
from ebmcore.train.optim import load_schedule, load_state
from ebmcore.train.rng import own_global_stream

Refuse = Callable[..., NoReturn]  # a place in a config, why, and the cause

_CPU = torch.device("cpu")
_STEPS = 4
_METHODS = ("step", "state_dict", "load_state_dict")


def make_optimizer(made: Any, parameters: Sequence[nn.Parameter], path: str, refuse: Refuse) -> Any:
    """Return the optimizer of these parameters, given one or the function that makes it."""
    if isinstance(made, Optimizer):
        known = {id(p) for group in made.param_groups for p in group["params"]}
        rest = [p for p in parameters if id(p) not in known]
        if rest:
            made.add_param_group({"params": rest})
        optimizer: Any = made
    else:
        try:
            optimizer = made(parameters)
        except (ValueError, TypeError) as error:
            refuse(path, str(error), error)
    kind = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        refuse(path, f"should make a torch.optim.Optimizer; got {kind}")
    if needs_argument(type(optimizer)):
        refuse(path, f"the step of {kind} calls the loss itself, which a training step can't do")
    return optimizer


def make_schedule(
    made: Any, optimizer: Optimizer, interval: str, metric: str | None, refuse: Refuse
) -> Any:
    """Return the schedule of an optimizer, given one or the function that makes it, or None."""
    if made is None:
        return None
    schedule = made
    if _is_schedule(made):
        if getattr(made, "optimizer", optimizer) is not optimizer:
            refuse("lr_scheduler", "was made for another optimizer; hand over both, or functions")
    else:
        try:
            schedule = made(optimizer)
        except (ValueError, TypeError) as error:
            refuse("lr_scheduler", str(error), error)
    kind = type(schedule).__name__
    if not _is_schedule(schedule):
        refuse("lr_scheduler", f"should make a schedule with {', '.join(_METHODS)}; got {kind}")
    if interval not in ("epoch", "step"):
        refuse("lr_scheduler.interval", f"should be 'epoch' or 'step'; got {interval!r}")
    if needs_argument(schedule) and metric is None:
        refuse("lr_scheduler.metric", f"missing; name the metric that {kind} follows, such as loss")
    if metric is not None and not needs_argument(schedule):
        refuse("lr_scheduler.metric", f"{kind} follows no metric; take the key out")
    return schedule


def check_state(
    common: Any, own: Mapping[str, Any], schedule: Any, parts: Parts, refuse: Refuse
) -> list[str]:
    """Refuse strangers whose state can't be saved, and warn of those that don't resume exactly."""
    warnings: list[str] = []
    tried: list[type[Any]] = []
    for name, optimizer in parts.every_optimizer.items():
        made, kind = own.get(name, common), type(optimizer)
        if kind in tried or _of_torch(optimizer) or isinstance(made, Optimizer):
            continue
        tried.append(kind)
        shapes = [tuple(min(n, 2) for n in p.shape) for g in optimizer.param_groups
                  for p in g["params"]]  # fmt: skip
        path = f"optimizers.{name}" if name in own else "optimizer"
        warnings += _tried(partial(_Optimization, made, shapes, kind), path, kind, refuse)
    there = parts.lr_scheduler
    if not (there is None or _of_torch(there) or _is_schedule(schedule)):
        own_kind: type[Any] = type(there)
        make = partial(_Schedule, schedule, own_kind)
        warnings += _tried(make, "lr_scheduler", own_kind, refuse)
    return warnings


def _of_torch(part: Any) -> bool:
    """Tell whether torch itself offers the class, and that of each schedule in it."""
    inner = getattr(part, "_schedulers", ())
    return type(part).__module__.startswith("torch.optim.") and all(map(_of_torch, inner))


def _is_schedule(made: Any) -> bool:
    return not inspect.isclass(made) and all(callable(getattr(made, m, None)) for m in _METHODS)


class _Unsuitable(Exception):  # noqa: N818 (a reason to try nothing)
    """Parameters of a few numbers don't do, so the trial says nothing."""


class _Optimization:
    """An optimizer on small parameters, which takes steps on gradients of its own."""

    def __init__(self, make: Any, shapes: Sequence[tuple[int, ...]], kind: type[Any]) -> None:
        generator = torch.Generator().manual_seed(0)
        self.parameters = [nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]
        self.holder: Any = make(self.parameters)
        held = [p for group in self.holder.param_groups for p in group["params"]]
        if type(self.holder) is not kind or any(map(_missing_from(self.parameters), held)):
            raise _Unsuitable  # it holds the run's own weights

    def step(self, number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        for parameter in self.parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        self.holder.step()

    def values(self) -> list[Any]:
        return [p.detach().clone() for p in self.parameters]

    def take_over(self, other: _Optimization) -> None:
        with torch.no_grad():
            for mine, its in zip(self.parameters, other.parameters, strict=True):
                mine.copy_(its)

    def load(self, state: Any) -> None:
        load_state(self.holder, state)


class _Schedule:
    """A schedule of a plain optimizer, which takes steps on metrics of its own."""

    def __init__(self, make: Any, kind: type[Any]) -> None:
        self.parameter = nn.Parameter(torch.ones(()))
        self.optimizer = SGD([self.parameter], lr=0.1, momentum=0.9)
        self.holder: Any = make(self.optimizer)
        if type(self.holder) is not kind:
            raise _Unsuitable
        if getattr(self.holder, "optimizer", self.optimizer) is not self.optimizer:
            raise _Unsuitable  # it holds the run's own optimizer
        self.metric = needs_argument(self.holder)

    def step(self, number: int) -> None:
        self.parameter.grad = torch.ones(())
        self.optimizer.step()  # torch's schedules warn of an optimizer that takes none
        self.holder.step(*([1.0 + 0.1 * number] if self.metric else []))

    def values(self) -> list[Any]:
        group = self.optimizer.param_groups[0]
        return [group["lr"], group["momentum"]]

    def take_over(self, other: _Schedule) -> None:
        self.optimizer.load_state_dict(other.optimizer.state_dict())

    def load(self, state: Any) -> None:
        load_schedule(self.holder, state)


def _tried(make: Callable[[], Any], path: str, kind: type[Any], refuse: Refuse) -> Iterator[str]:
    """Yield a warning if the state that another one gets doesn't lead to the same next steps."""
    with own_global_stream(0, _CPU):
        try:
            first, second = make(), make()
            for number in range(_STEPS):
                first.step(number)
            state = first.holder.state_dict()
        except Exception:  # it wants other parameters, or the run itself will fail
            return
        try:
            packed, tensors = pack(state, "state_dict")
        except TypeError as error:
            refuse(path, f"{kind.__name__} can't be saved, so no run could resume it: {error}")
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        second.take_over(first)
        try:
            second.load(unpack(packed, copies))
            for number in range(_STEPS, 2 * _STEPS):
                first.step(number)
                second.step(number)
        except Exception as error:
            yield _INEXACT.format(kind.__name__, f"it raised {type(error).__name__}: {error}")
            return
    pairs = zip(first.values(), second.values(), strict=True)
    if not all(_same(one, other) for one, other in pairs):
        yield _INEXACT.format(kind.__name__, "its next steps differ")


_INEXACT = (
    "this run can't be resumed bit for bit: {} was tried on a few numbers, and after "
    "load_state_dict(state_dict()) {}. Its state_dict should hold all that its next step depends on"
)


def _missing_from(parameters: Sequence[nn.Parameter]) -> Callable[[Tensor], bool]:
    known = {id(p) for p in parameters}
    return lambda parameter: id(parameter) not in known


def _same(one: Any, other: Any) -> bool:
    return torch.equal(torch.as_tensor(one), torch.as_tensor(other))
