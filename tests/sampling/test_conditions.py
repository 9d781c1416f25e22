"""Conditions bound to energies: rows, numbers, wrappers, modes, compiled and on meta."""

import pytest
import torch
from torch import nn

from ebmcore import (
    Differentiable,
    conditioned,
    energy_and_score,
    given,
    replicated,
    sample_chain,
)
from ebmcore.compile.chains import CompiledKernel
from ebmcore.contracts import Conditions
from ebmcore.sampling import conditions_of, evaluating, of_chains

X = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])


class Wells(nn.Module):
    """E(x, y) = ½ ‖x - c[y]‖² w, whose y is required."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]))

    def forward(self, x, y):
        return 0.5 * (x - self.centres[y]).square().sum(1)

    def logits(self, x):
        return -torch.stack([self(x, torch.full((len(x),), i)) for i in range(3)], 1)


class Either(nn.Module):
    def forward(self, x, y=None):
        return x.square().sum(1) if y is None else (x - y[:, None]).square().sum(1)


class Plain(nn.Module):
    def forward(self, x):
        return x.square().sum(1)


class Step:
    """Plain gradient descent, so that an end point tells which energy it went down."""

    def __call__(self, energy, x, generator):
        return x + 0.5 * energy_and_score(energy, x)[1]


def test_each_row_has_its_own_condition_or_all_one_number():
    energy, y = Wells(), torch.tensor([0, 1, 2])
    assert torch.equal(given(energy, y=y)(X), energy(X, y))
    assert torch.equal(given(energy, y=1)(X), energy(X, torch.ones(3, dtype=torch.long)))
    assert torch.equal(given(Either(), y=0.5)(X), Either()(X, torch.full((3,), 0.5)))
    with pytest.raises(ValueError, match="'y' for 3 events and called with 2"):
        given(energy, y=y)(X[:2])


def test_only_what_an_energy_requires_is_bound_unasked():
    y = torch.tensor([0, 1, 2])
    assert torch.equal(conditioned(Wells(), y=y)(X), Wells()(X, y))
    for energy in (Either(), Plain(), lambda x: x.sum(1)):
        assert conditioned(energy, y=y) is energy
    assert given(energy, y=None) is energy
    with pytest.raises(TypeError, match="energy Plain takes no 'y'"):
        given(Plain(), y=y)


def test_a_mask_is_bound_wherever_an_energy_names_it():
    def named(x, mask=None):
        return x.sum(1) if mask is None else (x * mask).sum(1)

    def takes_all(x, **conditions):
        assert not conditions
        return x.sum(1)

    x, mask = torch.ones(2, 3), torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    for bind in (conditioned, lambda energy, mask: of_chains(energy, Conditions(mask=mask))):
        assert bind(named, mask=mask)(x).tolist() == [2, 1]
        assert bind(named, mask=None) is named
        assert bind(takes_all, mask=mask)(x).tolist() == [3, 3]
    assert replicated(given(named, mask=mask), 2)(x.repeat(2, 1)).tolist() == [2, 2, 1, 1]


def test_replicas_have_their_chains_conditions():
    energy, y = Wells(), torch.tensor([0, 1, 2])
    x = torch.randn(3, 4, 2)
    expected = torch.stack([given(energy, y=y)(x[:, i]) for i in range(4)], 1)
    for bound in (given(energy, y=y), Differentiable(given(energy, y=y))):
        torch.testing.assert_close(replicated(bound, 4)(x.flatten(0, 1)).view(3, 4), expected)
    assert torch.equal(replicated(given(energy, y=1), 4)(X), given(energy, y=1)(X))
    assert replicated(energy, 4) is energy


def test_conditions_are_read_through_wrappers():
    assert conditions_of(Wells()).required == ("y",)
    assert conditions_of(Either()).optional == ("y",)
    bound = given(Wells(), y=2)
    for energy in (bound, Differentiable(bound), given(Differentiable(Wells()), y=2)):
        assert conditions_of(energy).required == ()
        assert torch.equal(energy(X), Wells()(X, torch.full((3,), 2)))
    assert torch.equal(given(bound, y=1)(X), given(Wells(), y=1)(X))


def test_a_bound_energy_is_still_the_module():
    energy = Wells()
    bound = given(energy, y=0)
    assert list(bound.parameters()) == [energy.centres]
    assert torch.equal(bound.logits(X), energy.logits(X))
    with evaluating(bound):
        assert not energy.training
    assert energy.training
    assert not energy_and_score(bound, X)[1].requires_grad
    for kept in (Differentiable(bound), given(Differentiable(energy), y=0)):
        assert energy_and_score(kept, X)[1].requires_grad
    on_meta = given(energy.to("meta"), y=0)(torch.empty(5, 2, device="meta"))
    assert on_meta.shape == (5,)


def test_chains_go_to_the_well_of_their_own_label():
    energy, y = Wells(), torch.tensor([2, 0, 1])
    end = sample_chain(Step(), given(energy, y=y), X, n_steps=60)
    torch.testing.assert_close(end, energy.centres[y].detach())
    end = sample_chain(Step(), given(energy, y=1), event_shape=(2,), n_chains=4, n_steps=60)
    torch.testing.assert_close(end, energy.centres[1].detach().expand(4, 2))


@pytest.mark.plugins
def test_conditions_are_inputs_of_a_compiled_kernels_graph():
    from ebmcore_langevin import Langevin

    kernel = Langevin(step_size=0.1)
    energy, y = Wells(), torch.tensor([0, 1, 2])
    compiled = CompiledKernel(
        kernel, given(energy, y=y), every=False, device=torch.device("cpu"), backend="aot_eager"
    )
    for labels in (y, y.flip(0)):
        ends = []
        for how in (compiled, None):
            bound, generator = given(energy, y=labels), torch.Generator().manual_seed(1)
            state = kernel.init(bound, X)
            if how is None:
                for _ in range(20):
                    state, _ = kernel.step(bound, state, kernel.noise(state.x, generator))
            else:
                how.conditions = {"y": labels}
                ((state, _),) = how.run(state, 20, generator)
            ends.append(state.x)
        torch.testing.assert_close(ends[0], ends[1])
    assert compiled.why == ""
    assert compiled.graph.traced == 1
