"""Training on a Hessian needs third derivatives, which torch's fused normalisations get wrong."""

import pytest
import torch
from ebmcore_losses import score_matching, sliced_score_matching
from ebmcore_losses.numerics.third_derivatives import (
    ThirdDerivatives,
    layer_norm,
    native_layer_norm,
)
from torch import nn
from torch.nn import functional


class Normalised(nn.Module):
    """A small network with one normalisation in it."""

    def __init__(self, norm):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.inner = nn.Parameter(torch.randn(3, 6, generator=generator).double())
        self.outer = nn.Parameter(torch.randn(6, generator=generator).double())
        self.norm = norm.double()

    def forward(self, x):
        return self.norm((x @ self.inner).unsqueeze(1)).squeeze(1).tanh() @ self.outer


def batch():
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(6), nn.LayerNorm(6, elementwise_affine=False), nn.RMSNorm(6)]
)
def test_the_gradient_is_that_of_differences(tools, norm):
    energy, x = Normalised(norm), batch()
    for value in (
        lambda: score_matching(energy, x),
        lambda: sliced_score_matching(energy, x, torch.Generator().manual_seed(2)),
    ):
        tools.assert_gradient_is_that_of_differences(value, [energy.inner, energy.outer])


class Called(nn.Module):
    """A layer norm by one of torch's functions."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        found = self.function(x, (6,), None, None, 1e-5)
        return found if isinstance(found, torch.Tensor) else found[0]


def test_any_call_of_layer_norm_has_the_right_gradient(tools):
    aten, x = torch.ops.aten, batch()
    packets = (aten.layer_norm, aten.native_layer_norm)
    for function in (torch.native_layer_norm, *packets, *(packet.default for packet in packets)):
        energy = Normalised(Called(function))
        tools.assert_gradient_is_that_of_differences(
            lambda energy=energy: score_matching(energy, x), [energy.inner, energy.outer]
        )
    energy = Normalised(Called(torch.native_layer_norm))
    compiled = torch.compile(energy, backend="eager", fullgraph=True)
    tools.assert_gradient_is_that_of_differences(
        lambda: score_matching(compiled, x), [energy.inner, energy.outer]
    )


def normalised_in_a_script(x: torch.Tensor) -> torch.Tensor:
    return torch.native_layer_norm(x, [6], None, None, 1e-5)[0]


def normalised_by_the_batch(x):
    return torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_normalisation_that_cannot_be_replaced_is_refused():
    for function in (torch.jit.script(normalised_in_a_script), normalised_by_the_batch):
        norm = nn.Identity()
        norm.forward = function
        with pytest.raises(ValueError, match=r"third derivative of Native(Layer|Batch)Norm wrong"):
            score_matching(Normalised(norm), batch())


def test_without_the_guard_torch_gets_it_wrong():
    # when this fails torch is mended, and the guard has had its day
    energy, x = Normalised(nn.LayerNorm(6)), batch().requires_grad_()

    def laplacian():
        (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
        rows = [
            torch.autograd.grad(gradient[:, i].sum(), x, create_graph=True)[0] for i in range(3)
        ]
        return sum(row[:, i].sum() for i, row in enumerate(rows))

    v = torch.randn(3, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    try:
        (found,) = torch.autograd.grad(laplacian(), energy.inner)
    except RuntimeError:
        return  # a torch that raises justifies the guard as well
    moved = []
    for sign in (1, -2):
        with torch.no_grad():
            energy.inner.add_(v, alpha=sign * 1e-5)
        moved.append(laplacian().item())
    assert abs((found * v).sum().item() - (moved[0] - moved[1]) / 2e-5) > 1e-2


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_is_torchs(affine):
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight, bias = (torch.full((3, 4), v, dtype=torch.float64) for v in (1.5, -0.2))
    both = (weight, bias) if affine else (None, None)
    torch.testing.assert_close(
        layer_norm(x, (3, 4), *both, 0.1), functional.layer_norm(x, (3, 4), *both, 0.1)
    )
    with ThirdDerivatives():
        for function in (functional.layer_norm, torch.layer_norm):
            found = function(x, (3, 4), *both, eps=0.1)
            torch.testing.assert_close(found, layer_norm(x, (3, 4), *both, 0.1), rtol=0, atol=0)
    native = torch.native_layer_norm(x, (3, 4), *both, 0.1)
    torch.testing.assert_close(native_layer_norm(x, (3, 4), *both, 0.1), native)


def test_only_batch_norm_by_the_batch_is_refused():
    energy = Normalised(nn.BatchNorm1d(1))
    with pytest.raises(ValueError, match="depend on the other events"):
        score_matching(energy, batch())
    assert score_matching(energy.eval(), batch()).isfinite()
    with pytest.raises(ValueError, match="one group for each channel"):
        score_matching(Normalised(nn.InstanceNorm1d(1)), batch())
