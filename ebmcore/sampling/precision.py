"""`train.precision`: the type in which the energy is evaluated; all else stays in the run's dtype.

With bf16 the energy's forward pass runs under `torch.autocast`, and so does its gradient: matrix
products and convolutions take bfloat16, with its 8 bits of precision; torch keeps float32 where
that is too coarse. Weights, chains, optimisers' states, averages and E itself are float32.
"""

from __future__ import annotations

import platform
from functools import wraps
from types import MethodType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ebmcore.errors import ConfigError, Problem

BF16 = "bf16"


def set_precision(energy: nn.Module, precision: str, device: torch.device) -> list[str]:
    """Have an energy evaluated in a precision; return warnings.

    Raises ConfigError when the device or the energy's weights can't.
    """
    if precision != BF16 or device.type == "meta":
        return []
    dtypes = {p.dtype for p in energy.parameters()} - {torch.float32}
    if dtypes:
        _refuse(f"bf16 evaluates float32 weights; those of the energy are {dtypes.pop()}")
    if not _has_bf16(device):
        _refuse(f"{device} can't compute in bf16; set train.precision to float32")
    # a method of the object, so that a copy, such as the average's, gets one of its own
    energy.forward = MethodType(_in_bf16(type(energy), device.type), energy)
    return _slow(device)


def _in_bf16(kind: type[nn.Module], device: str) -> Any:
    """Return a `forward` of a class of energies that computes in bf16 and returns float32."""

    @wraps(kind.forward)
    def forward(self: nn.Module, *args: Any, **named: Any) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            values: Tensor = kind.forward(self, *args, **named)
        return values.float()

    return forward


def _refuse(why: str) -> NoReturn:
    raise ConfigError([Problem("train.precision", why)])


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.amp.is_autocast_available(device.type)


def _slow(device: torch.device) -> list[str]:
    """Warn of an x86 processor that has no instructions for bf16."""
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64")
    if not known or any(getattr(torch.cpu, name, lambda: True)() for name in tests):
        return []
    return [
        "train.precision: bf16 is slower than float32 on this processor, which has neither "
        "AVX512_BF16 nor AMX"
    ]
