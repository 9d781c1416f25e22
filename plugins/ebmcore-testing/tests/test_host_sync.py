"""`no_host_sync` sees each way in which Python waits for an accelerator, and lets the rest pass."""

import numpy as np
import pytest
import torch
from ebmcore_testing import HostSync, no_host_sync

EYE = torch.eye(3)
META = torch.empty(4, 3, device="meta")
INDEX = torch.tensor([0, 1])

WAITS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "range": lambda x: range(INDEX[1]),
    "bool": lambda x: bool(x.sum() > 0),
    "branch": lambda x: 1 if x.isfinite().all() else 2,
    "largest": lambda x: max(x[:, 0]),
    "in": lambda x: 1.0 in x,
    "format": lambda x: f"{x.sum():.3g}",
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "asarray": lambda x: np.asarray(x),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "mask": lambda x: x[x > 0],
    "masked rows": lambda x: x.__setitem__(x[:, 0] > 0, torch.ones(3)),
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: x.unique(),
    "repeat": lambda x: torch.repeat_interleave(INDEX + 1),
    "equal": lambda x: torch.equal(x, x),
    "allclose": lambda x: torch.allclose(x, x),
    "inverse": lambda x: torch.linalg.inv(EYE),
    "cholesky": lambda x: torch.linalg.cholesky(EYE),
    "eigh": lambda x: torch.linalg.eigh(EYE),
    "tensor": lambda x: torch.tensor([1.0], device=x.device),
    "as_tensor": lambda x: torch.as_tensor(1.0, device=x.device),
    "new_tensor": lambda x: x.new_tensor(1.0),
    "list": lambda x: x[[0, 1]],
}

PASSES = {
    "number": lambda x: x * torch.tensor(2.0),  # torch hands it over with the kernel
    "full": lambda x: torch.full((), 3.0, device=x.device) + x.new_full((), 2.0),
    "rows": lambda x: x[INDEX] + x.index_select(0, INDEX),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "filled": lambda x: x.__setitem__(x > 0, 0.0),
    "shuffle": lambda x: torch.randperm(5, generator=torch.Generator().manual_seed(0)),
    "cholesky": lambda x: torch.linalg.cholesky_ex(EYE),
    "clip": lambda x: torch.nn.utils.clip_grad_norm_([x], 1.0),
    "gradient": lambda x: torch.autograd.grad((y := x.requires_grad_()).square().sum(), y),
}

COPIES = {
    "to": lambda x: x.to("meta"),
    "copy_": lambda x: META.copy_(x),
    "tensor": lambda x: torch.tensor(1.0, device="meta"),
    "index": lambda x: META[INDEX],
}


@pytest.mark.parametrize("way", WAITS)
def test_it_raises(way):
    with pytest.raises(HostSync), no_host_sync("cpu"):
        WAITS[way](torch.randn(4, 3))


@pytest.mark.parametrize("way", PASSES)
def test_it_lets_pass(way):
    with no_host_sync("cpu"):
        PASSES[way](torch.randn(4, 3))


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_between_devices_waits_unless_it_is_told_not_to(way):
    x = torch.randn(4, 3)
    with pytest.raises(HostSync), no_host_sync("meta"):
        COPIES[way](x)


def test_tensors_of_the_host_may_be_read():
    x = torch.randn(4, 3)
    with no_host_sync("meta"):
        float(x.sum())
        x.to("meta", non_blocking=True)
        (META * torch.tensor(2.0)).sum()
