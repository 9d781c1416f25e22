"""Chains say whether they begin at the data, and samples of a model never do."""

import pytest
import torch
from ebmcore_chains import Data, Noise, Persistent, Proposed

from ebmcore import start_chains
from ebmcore.monitoring.model_samples import ModelSamples
from ebmcore.sampling import Sampler, as_kernel

BOUNDS = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
DATA = 100.0 + torch.arange(24.0).view(12, 2)


class Network(torch.nn.Module):
    def sample(self, n, generator):
        return torch.randn(n, 2, generator=generator)


def proposed(**options):
    return Proposed({"proposer": Network()}, **options)


KINDS = {
    "data": (Data, True),
    "uniform noise": (lambda: Noise(data_range=BOUNDS), False),
    "normal noise": (lambda: Noise(kind="normal"), False),
    "persistent": (lambda: Persistent(20, data_range=BOUNDS, reinit=0.5), False),
    "persistent normal": (lambda: Persistent(20, init="normal"), False),
    "persistent data": (lambda: Persistent(20, init="data"), True),
    "proposed": (proposed, False),
    "proposed, rest data": (lambda: proposed(share=0.5, rest=Data()), True),
    "proposed, rest kept": (
        lambda: proposed(share=0.5, rest=Persistent(20, data_range=BOUNDS)),
        False,
    ),
}
EACH = pytest.mark.parametrize(("make", "at_data"), KINDS.values(), ids=KINDS)


def begun(make, x):
    return start_chains(make(), x, generator=torch.Generator().manual_seed(0)).x


@EACH
def test_chains_that_never_begin_at_data_say_so(make, at_data):
    same = torch.equal(begun(make, DATA), begun(make, DATA.flip(0)))
    assert make().begins_at_data is not same
    assert make().begins_at_data is at_data


@EACH
def test_no_sample_of_the_model_holds_data(make, at_data):
    chains, generator = make(), torch.Generator().manual_seed(0)
    for _ in range(3):  # training steps of a sampler that stays
        chains.keep(start_chains(chains, DATA, generator=generator))
    samples = ModelSamples(
        torch.nn.Linear(2, 1), Sampler(as_kernel(lambda energy, x, generator: x), 2), chains,
        generator, BOUNDS,
    )  # fmt: skip
    x = samples.sample(15, None)
    assert x.abs().max() < 10
    kept = chains.kept()
    going_on = kept is not None and bool((x[0] == kept.x).all(1).any())
    assert going_on is (kept is not None and not at_data)
