"""How a check ends when it doesn't pass: it failed, or it asks what this component can't answer."""

from __future__ import annotations

import unittest

from torch import Tensor

from ebmcore.errors import EbmError


class CheckFailed(EbmError):  # noqa: N818 (a verdict, as pytest.fail.Exception is)
    """A component broke a promise; says what was expected, measured and allowed, and why often."""

    def __init__(
        self, check: str, *, expected: str, measured: str, allowed: str, cause: str
    ) -> None:
        self.check = check
        self.expected = expected
        self.measured = measured
        self.allowed = allowed
        self.cause = cause
        super().__init__(
            f"{check}\n  expected     {expected}\n  measured     {measured}\n"
            f"  allowed      {allowed}\n  usual cause  {cause}"
        )


class NotApplicable(unittest.SkipTest):
    """A check that has nothing to say of this component; pytest shows it as skipped."""


def require(
    condition: bool, check: str, *, expected: str, measured: str, allowed: str, cause: str
) -> None:
    """Raise CheckFailed unless the condition holds."""
    if not condition:
        raise CheckFailed(check, expected=expected, measured=measured, allowed=allowed, cause=cause)


def require_close(
    check: str, measured: Tensor, wanted: Tensor, *, expected: str, cause: str, tolerance: float
) -> None:
    """Raise CheckFailed unless two tensors agree within `tolerance`, of their size or of 1.

    Booleans and integers must be equal.
    """
    if not (measured.is_floating_point() or measured.is_complex()):
        same = measured.dtype == wanted.dtype and measured.shape == wanted.shape
        unequal = int((measured != wanted).sum()) if same else measured.numel()
        require(
            same and unequal == 0,
            check,
            expected=expected,
            measured=f"{unequal} of {measured.numel()} values of {measured.dtype} differ",
            allowed="none",
            cause=cause,
        )
        return
    if not bool(measured.isfinite().all()):
        off = float("nan")
    else:
        size = max(1.0, float(wanted.abs().max())) if wanted.numel() else 1.0
        off = float((measured - wanted).abs().max()) / size if wanted.numel() else 0.0
    require(
        off <= tolerance,
        check,
        expected=expected,
        measured=f"a difference of {off:.3g}, relative to the larger of 1 and the largest value",
        allowed=f"{tolerance:.3g}",
        cause=cause,
    )
