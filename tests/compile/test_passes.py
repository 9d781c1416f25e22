"""Narrow products as sums, and one sigmoid for SiLU and its derivative."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from ebmcore.compile.passes import CpuRewrites

PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default}


def rewritten(function, *args, decompositions=None):
    """Trace a function and rewrite its graph; return what runs it, and the calls that are left."""
    traced = make_fx(function, decomposition_table=decompositions, tracing_mode="fake")(*args)
    CpuRewrites()(traced.graph)
    traced.recompile()
    return traced, [node.target for node in traced.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "narrow"),
    [
        (9, 2, 8, True),
        (9, 1, 8, True),
        (9, 8, 2, True),
        (9, 8, 1, True),
        (3, 8, 9, True),
        (1, 8, 9, True),
        (9, 8, 7, False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_narrow_products_are_sums(rows, inner, columns, narrow, dtype):
    a, weight = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
    bias = torch.randn(columns, dtype=dtype)
    for function in (
        lambda a, weight, bias: functional.linear(a, weight, bias),
        lambda a, weight, bias: a @ weight.T,
        lambda a, weight, bias: weight @ a.T,
        lambda a, weight, bias: torch.addmm(bias, a, weight.T, beta=0.5, alpha=2),
    ):
        run, calls = rewritten(function, a, weight, bias)
        torch.testing.assert_close(run(a, weight, bias), function(a, weight, bias))
        scaled = "addmm" in function.__code__.co_names
        rounds = dtype is torch.bfloat16  # which a sum would do otherwise
        assert bool(PRODUCTS & set(calls)) == (scaled or rounds or not narrow)


def test_products_of_whole_numbers_are_left_alone():
    a = torch.arange(6).view(3, 2)
    run, calls = rewritten(lambda a: a @ a.T, a)
    assert torch.equal(run(a), a @ a.T)
    assert set(calls) & PRODUCTS


def test_silu_and_its_derivative_share_a_sigmoid():
    def function(x):
        x = x.requires_grad_()
        y = functional.silu(x)
        return torch.stack([y, torch.autograd.grad(y.sum(), x)[0]])

    from torch._decomp import get_decompositions

    aten = torch.ops.aten
    table = get_decompositions([aten.silu, aten.silu_backward])
    x = torch.linspace(-60, 60, 101)
    run, calls = rewritten(function, x, decompositions=table)
    assert calls.count(aten.sigmoid.default) == 1
    assert aten.exp.default not in calls
    torch.testing.assert_close(run(x), function(x))


def test_an_energy_of_points_keeps_its_large_products_alone():
    energy = nn.Sequential(
        nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 1)
    )

    def score(x, weights):
        x = x.requires_grad_()
        energies = torch.func.functional_call(energy, weights, (x,))
        return torch.autograd.grad(energies.sum(), x)[0]

    x, weights = torch.randn(12, 2), dict(energy.named_parameters())
    run, calls = rewritten(score, x, weights)
    assert len([call for call in calls if call in PRODUCTS]) == 2  # one forth and one back
    torch.testing.assert_close(run(x, weights), score(x, weights))
