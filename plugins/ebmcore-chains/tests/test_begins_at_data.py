"""Chains say whether they may begin at the data."""

import pytest
import torch
from ebmcore_chains import Data, Noise, Persistent, Proposed

from ebmcore import start_chains

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
