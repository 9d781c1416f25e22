"""Compiled, the samplers take the same steps; Gibbs of one number at a time stays eager."""

import pytest
import torch
from ebmcore_discrete import DMALA, RBM, BlockGibbs, Gibbs, GibbsWithGradients

from ebmcore import sample_chain


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [BlockGibbs(6), DMALA(1.0), GibbsWithGradients()])
def test_compiled_steps_are_the_eager_ones(kernel, seeded):
    energy = RBM(6, scale=1.0, event_shape=(3, 3)).requires_grad_(False)
    x = torch.randint(2, (50, 3, 3), generator=seeded).float()
    compiled, eager = (
        sample_chain(kernel, energy, x, n_steps=4, generator=seeded.manual_seed(1), compile=whether)
        for whether in (True, False)
    )
    assert torch.equal(compiled, eager)
    assert not torch.equal(compiled, x)


def test_gibbs_stays_eager_and_says_so():
    energy = RBM(2, event_shape=(4,))
    with pytest.warns(RuntimeWarning, match="minutes to compile"):
        sample_chain(Gibbs(), energy, torch.zeros(2, 4), n_steps=1, compile=True)
