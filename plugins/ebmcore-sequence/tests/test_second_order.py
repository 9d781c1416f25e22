"""Second derivatives of these energies, as losses on the score need them, and in a run."""

import copy

import pytest
import torch
from ebmcore_sequence import GRU, LSTM, Transformer

import ebmcore


def lstm(event_shape):
    return LSTM(event_shape, hidden=5, head_width=4)


def gru(event_shape):
    return GRU(event_shape, hidden=5, head_width=4)


def transformer(event_shape):
    return Transformer(event_shape, width=8, heads=2)


BUILDERS = pytest.mark.parametrize("build", [lstm, gru, transformer])
SHAPES = pytest.mark.parametrize("shape", [(6,), (4, 2)])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def bent(energy):
    """Make the weights larger than fresh ones, so that the energy bends."""
    with torch.no_grad():
        for parameter in energy.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return energy


def squared_score(energy, x):
    """Mean ½‖∇E(x)‖²."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def gradients(energy, x):
    """The gradient of mean ½‖∇E(x)‖² in each parameter that it depends on; 0 in the others."""
    parameters = list(energy.parameters())
    found = torch.autograd.grad(squared_score(energy, x), parameters, allow_unused=True)
    pairs = zip(parameters, found, strict=True)
    return [torch.zeros_like(p) if g is None else g for p, g in pairs]


@BUILDERS
@SHAPES
@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_of_a_squared_score_by_finite_differences(build, shape, training):
    """Along one random direction in each parameter, in float64; central differences err by 1e-9."""
    energy = bent(build(shape).double()).train(training)
    x = torch.randn(3, *shape, dtype=torch.float64)
    h, largest = 1e-5, 0.0
    for parameter, gradient in zip(energy.parameters(), gradients(energy, x), strict=True):
        v = torch.randn_like(parameter)
        parameter.data.add_(h * v)
        ahead = squared_score(energy, x)
        parameter.data.sub_(2 * h * v)
        behind = squared_score(energy, x)
        parameter.data.add_(h * v)
        difference = ((ahead - behind) / (2 * h)).detach()
        torch.testing.assert_close((gradient * v).sum(), difference, rtol=1e-6, atol=1e-9)
        largest = max(largest, difference.abs().item())
    assert largest > 1e-3  # the energy bends, so there was something to compare


@BUILDERS
@SHAPES
def test_single_precision_takes_the_same_gradient(build, shape):
    """On the CPU, float32 takes another path through an LSTM (oneDNN's) than float64 does."""
    energy = bent(build(shape))
    x = torch.randn(3, *shape)
    double = gradients(copy.deepcopy(energy).double(), x.double())
    size = max(g.abs().max().item() for g in double)
    for single, exact in zip(gradients(energy, x), double, strict=True):
        torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-5 * size)


def smoothing(energy, x, generator):
    """Denoising score matching at σ = 1."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    noised = (x + noise).requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return 0.5 * (gradient - noise).square().flatten(1).sum(1).mean()


smoothing.order = 2


def descend(energy, x, generator):
    """One step of a sampler."""
    return x + 0.1 * ebmcore.energy_and_score(energy, x)[1]


@BUILDERS
def test_a_run_lowers_a_second_order_loss_and_can_sample(build, tmp_path):
    energy = build((6, 1))
    x = 0.5 * torch.sin(torch.arange(6.0)[None, :, None] + 6.28 * torch.rand(200, 1, 1))
    experiment = ebmcore.Experiment(
        data=x,
        energy=energy,
        loss=smoothing,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.03),
        device="cpu",
    )

    def loss():
        return smoothing(energy, x.repeat(5, 1, 1), torch.Generator().manual_seed(1)).item()

    assert loss() > 2.9  # 3 at E = 0
    experiment.run(steps=25, batch_size=50, tracking="off", runs_dir=tmp_path, progress=False)
    assert loss() < 1.5  # near 0.3 at the best; without the score's gradient it stays at 3
    drawn = ebmcore.sample_chain(descend, energy, event_shape=(6, 1), n_chains=4, n_steps=3)
    assert drawn.shape == (4, 6, 1)
    assert drawn.isfinite().all()
