"""The one place where a kernel's step may wait for its device; `Kernel.waits` says why it does."""

from __future__ import annotations

from torch import Tensor


def any_left(going: Tensor) -> bool:
    """Whether any chain still goes on, (chains,) bool; no on the meta device, which has no values.

    A loop that it ends costs an accelerator one wait for each call. The conformance kit lets a
    kernel that declares `waits` wait here, and nowhere else.
    """
    return not going.is_meta and bool(going.any())
