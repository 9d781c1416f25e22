"""The cooperative loss by hand: its value, its gradient, and whom it trains."""

from types import SimpleNamespace

import pytest
import torch
from ebmcore_losses import Cooperative


def test_value_and_gradient_by_hand():
    shift = torch.tensor([0.5, 0.0], requires_grad=True)
    z = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    x_neg = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = Cooperative(network="g", sigma=0.5)
    assert loss.trains == "g"
    value = loss({"g": lambda z: z + shift}, x_neg, SimpleNamespace(latents=z))
    # g(z) - x⁻ = (-½, 0) and (½, 1): squares ¼ and 5/4, mean ¾, over 2σ² = ½
    assert value.item() == pytest.approx(1.5)
    gradient, of_samples = torch.autograd.grad(value, [shift, x_neg], allow_unused=True)
    torch.testing.assert_close(gradient, torch.tensor([0.0, 0.5]) / 0.25)
    assert of_samples is None


@pytest.mark.parametrize("chains", [SimpleNamespace(), SimpleNamespace(latents=None)])
def test_chains_without_latents_are_refused(chains):
    with pytest.raises(ValueError, match=r"take `chains: \{type: proposed\}`"):
        Cooperative()({"proposer": torch.nn.Identity()}, torch.zeros(2, 2), chains)
