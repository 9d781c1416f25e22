"""The state of an optimizer or a schedule, as a checkpoint keeps it and as another one takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ebmcore.checkpoint import pack, unpack
from ebmcore_testing.failures import CheckFailed, require
from ebmcore_testing.measures.observed import same_bits, same_state

BEFORE, AFTER = 7, 13  # steps before the state is saved, and with it


class Stepped(Protocol):
    """An optimizer or a schedule at work on numbers of its own."""

    part: Any  # with a state_dict

    def step(self, number: int) -> None:
        """Take a step; its input follows from the number alone."""

    def values(self) -> Sequence[Any]:
        """Return what a step changes."""

    def load(self, state: Any) -> None:
        """Load a state, as a resumed run does."""

    def take_over(self, other: Any) -> None:
        """Take the values of another one, but not its state."""


def check_resumed(make: Callable[[], Stepped], check: str) -> None:
    """Raise CheckFailed unless another one with the saved state takes the same next steps."""
    first, second = make(), make()
    for number in range(BEFORE):
        first.step(number)
    second.take_over(first)
    second.load(saved(first.part, check))
    for number in range(BEFORE, BEFORE + AFTER):
        first.step(number)
        second.step(number)
        pairs = zip(first.values(), second.values(), strict=True)
        require(
            all(same_bits(one, other) for one, other in pairs),
            check,
            expected="the same next steps after load_state_dict(state_dict())",
            measured=f"another value after {number - BEFORE + 1} of them",
            allowed="no difference by a bit",
            cause="an attribute, such as a counter or a buffer, that state_dict doesn't return; an "
            "Optimizer keeps its state in self.state[parameter] and in its param_groups",
        )


def check_loaded(make: Callable[[], Stepped], check: str) -> None:
    """Raise CheckFailed unless the state after load_state_dict is the one that was given."""
    first, second = make(), make()
    for number in range(BEFORE):
        first.step(number)
    second.take_over(first)
    second.load(saved(first.part, check))
    require(
        same_state(saved(first.part, check), saved(second.part, check)),
        check,
        expected="the state that was loaded",
        measured="another state, or one of another dtype",
        allowed="no difference by a bit",
        cause="a load_state_dict or __setstate__ of its own that resets or rounds a value",
    )


def saved(part: Any, check: str) -> Any:
    """Return a copy of a state, as a checkpoint keeps it. Raises CheckFailed when it can't."""
    try:
        packed, tensors = pack(part.state_dict(), "state_dict")
    except TypeError as error:
        raise CheckFailed(
            check,
            expected="a state_dict of tensors, numbers, texts, and dicts, lists and tuples of them",
            measured=str(error),
            allowed="nothing else",
            cause="an object, a set or an array in the state: checkpoints are written without "
            "pickle, so keep it as a tensor or a list",
        ) from error
    return unpack(packed, {name: tensor.clone() for name, tensor in tensors.items()})
