"""The transformer with a mask is the transformer of the shorter sequences, to any derivative."""

import pytest
import torch
from ebmcore_sequence import Transformer

MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0],
                     [0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1]]).bool()  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def transformer(event_shape=(6, 2), **keys):
    energy = Transformer(event_shape, **{"width": 8, "heads": 2, **keys}).double()
    with torch.no_grad():
        for p in energy.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return energy


def shorter(energy, steps):
    other = transformer((steps, 2))
    other.load_state_dict(energy.state_dict())
    return other


def derivatives(energy, x, *mask):
    """E, its gradient in x, and that of ½‖∇E‖² in the parameters and in x."""
    x = x.detach().requires_grad_()
    values = energy(x, *mask)
    (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    squares = 0.5 * gradient.square().sum()
    wanted = [x, *energy.parameters()]
    seconds = torch.autograd.grad(squares, wanted, allow_unused=True, materialize_grads=True)
    return values.detach(), gradient.detach(), *seconds


def test_a_mask_leaves_the_steps_that_count():
    """In float64 a sum with zeros between rounds as that without, to the last digits."""
    energy = transformer()
    x = torch.randn(5, 6, 2, dtype=torch.float64)
    values, gradient, of_x, *of_parameters = derivatives(energy, x, MASK)
    alone = [
        derivatives(shorter(energy, int(steps.sum())), event[steps][None])
        for event, steps in zip(x, MASK, strict=True)
    ]
    for event, (value, slope, bend, *_) in enumerate(alone):
        steps = MASK[event]
        torch.testing.assert_close(values[event], value[0])
        torch.testing.assert_close(gradient[event, steps], slope[0])
        torch.testing.assert_close(of_x[event, steps], bend[0])
    for found, *each in zip(of_parameters, *(one[3:] for one in alone), strict=True):
        torch.testing.assert_close(found, torch.stack(each).sum(0))
    assert (gradient[~MASK] == 0).all()
    assert (of_x[~MASK] == 0).all()


def test_no_number_of_padding_changes_anything():
    energy = transformer().float()
    x = torch.randn(5, 6, 2)
    other = torch.where(MASK[..., None], x, torch.nan)
    for found, expected in zip(
        derivatives(energy, other, MASK), derivatives(energy, x, MASK), strict=True
    ):
        assert torch.equal(found, expected)


def test_masks_at_the_ends():
    energy = transformer((6,)).eval()
    x = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(energy(x, torch.ones(4, 6)), energy(x))
    assert energy(x, torch.zeros(4, 6)).isnan().all()
    with pytest.raises(ValueError, match=r"one value for each step, shape \(4, 6\); got \(4,\)"):
        energy(x, torch.ones(4))


def test_one_graph_holds_the_mask():
    energy = transformer(layers=1)
    x = torch.randn(5, 6, 2, dtype=torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(energy, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, MASK), energy(x, MASK))
    torch._dynamo.reset()
