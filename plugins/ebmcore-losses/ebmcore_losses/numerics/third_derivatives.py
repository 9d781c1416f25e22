"""Normalisation layers with correct third derivatives, for losses that train on a Hessian.

The gradient of a Hessian is a third derivative, which torch's fused `layer_norm` and `batch_norm`
silently compute wrong: their second backward treats mean and variance as constants when it is
differentiated again (pytorch issues 175754 and 186256). `group_norm` and `rms_norm` are right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class ThirdDerivatives(TorchFunctionMode):
    """A context in which layer normalisation consists of elementary operations.

    Raises ValueError for batch and instance normalisation by the statistics of the input.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the replacement of a function if there is one, else the function."""
        return _REPLACEMENTS.get(func, func)(*args, **(kwargs or {}))


def layer_norm(
    input: Tensor,  # noqa: A002 (torch's own name, which callers may use)
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Return the result of `torch.layer_norm`, by elementary operations."""
    over = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(over, keepdim=True)
    normed = centred * (centred.square().mean(over, keepdim=True) + eps).rsqrt()
    scaled = normed if weight is None else normed * weight
    return scaled if bias is None else scaled + bias


def _batch_norm(
    input: Tensor,  # noqa: A002
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *rest: Any,
    **more: Any,
) -> Tensor:
    if training:
        raise ValueError(
            "batch normalisation by a batch's own statistics makes an event's energy depend on the "
            "other events, and torch gets its third derivative wrong; use an energy without it"
        )
    return functional.batch_norm(
        input, running_mean, running_var, weight, bias, training, *rest, **more
    )


def _instance_norm(*args: Any, **kwargs: Any) -> Tensor:
    raise ValueError(
        "torch gets the third derivative of instance normalisation wrong; use group "
        "normalisation, with one group for each channel"
    )


_REPLACEMENTS: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.layer_norm: layer_norm,
    torch.layer_norm: layer_norm,
    functional.batch_norm: _batch_norm,
    functional.instance_norm: _instance_norm,
}
