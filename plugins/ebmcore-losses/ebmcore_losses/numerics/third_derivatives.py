"""Normalisation layers with correct third derivatives, for losses that train on a Hessian.

The gradient of a Hessian is a third derivative, which torch's fused `layer_norm` and `batch_norm`
silently compute wrong: their second backward treats mean and variance as constants when it is
differentiated again (pytorch issues 175754 and 186256). `group_norm` and `rms_norm` are right.
A layer norm that Python calls is replaced; the graph shows any other, which is refused.
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
    return native_layer_norm(input, normalized_shape, weight, bias, eps)[0]


def native_layer_norm(
    input: Tensor,  # noqa: A002
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `torch.native_layer_norm` does: the result, the mean, 1 over the deviation."""
    over = tuple(range(-len(normalized_shape), 0))
    mean = input.mean(over, keepdim=True)
    centred = input - mean
    scale = (centred.square().mean(over, keepdim=True) + eps).rsqrt()
    normed = centred * scale
    scaled = normed if weight is None else normed * weight
    return scaled if bias is None else scaled + bias, mean, scale


def refuse_fused(values: Tensor) -> None:
    """Raise ValueError if a graph holds a normalisation whose third derivative torch gets wrong.

    It is there when TorchScript or an extension called it, which no Python function replaces.
    """
    seen, left = set(), [values.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        left += [following for following, _ in node.next_functions]
        name = node.name()
        of_batch = "BatchNorm" in name and getattr(node, "_saved_training", False)
        if of_batch or name.startswith("NativeLayerNorm"):
            raise ValueError(
                f"torch gets the third derivative of {name.removesuffix('Backward0')} wrong, and "
                "it can't be replaced where it is called. Call torch.nn.functional.layer_norm from "
                "Python, or take group_norm or rms_norm"
            )


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
    torch.ops.aten.layer_norm: layer_norm,
    torch.ops.aten.layer_norm.default: layer_norm,
    torch.native_layer_norm: native_layer_norm,
    torch.ops.aten.native_layer_norm: native_layer_norm,
    torch.ops.aten.native_layer_norm.default: native_layer_norm,
    functional.batch_norm: _batch_norm,
    functional.instance_norm: _instance_norm,
}
