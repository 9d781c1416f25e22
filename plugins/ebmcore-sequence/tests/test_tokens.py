"""Events of tokens: energies of a categorical space read a row of a table for each."""

import pytest
import torch
from ebmcore_sequence import GRU, LSTM, Transformer
from ebmcore_sequence.tokens import Tokens
from torch.nn.functional import one_hot

from ebmcore import Binary, Categorical

ENERGIES = pytest.mark.parametrize(
    ("build", "keys"),
    [
        (LSTM, {"embedding": 8, "hidden": 6}),
        (GRU, {"embedding": 8, "hidden": 6}),
        (Transformer, {"width": 8, "heads": 2}),
    ],
)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_a_table_is_a_linear_layer_on_one_hot_tokens():
    tokens = Tokens(4, 3, 5)
    x = torch.randint(4, (6, 7, 3))
    weights = tokens.table.weight.reshape(3, 4, 5)
    expected = torch.einsum("ntck,ckw->ntw", one_hot(x, 4).float(), weights)
    torch.testing.assert_close(tokens(x), expected)
    assert torch.equal(tokens(x.float()), tokens(x))
    torch.testing.assert_close(tokens(one_hot(x, 4).double()), expected)
    assert list(tokens.state_dict()) == ["table.weight"]


@ENERGIES
def test_energies_of_tokens(build, keys):
    energy = build((6,), **keys, space=Categorical(4)).double()
    rows = energy.embed.table.weight
    assert rows.shape == (4, 8)
    x = torch.randint(4, (50, 6))
    values = energy(x)
    assert values.unique().numel() > 45
    assert torch.autograd.grad(values.sum(), rows)[0].ne(0).any(1).all()
    mask = torch.arange(6) < torch.arange(50)[:, None] % 6 + 1
    padded = energy(x, mask)
    assert torch.equal(energy(x.where(mask, -7), mask), padded)
    torch.testing.assert_close(padded[mask.all(1)], values[mask.all(1)])
    three = mask.sum(1) == 3
    alone = build((3,), **keys, space=Categorical(4)).double()
    alone.load_state_dict(energy.state_dict())
    torch.testing.assert_close(padded[three], alone(x[three, :3]))


@ENERGIES
@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_one_hot_tokens_have_the_same_energies(build, keys, shape):
    energy = build(shape, **keys, space=Categorical(4)).double()
    x = torch.randint(4, (20, *shape))
    at = one_hot(x, 4).double().requires_grad_()
    torch.testing.assert_close(energy(at), energy(x))
    mask = torch.arange(6) < torch.arange(20)[:, None] % 6 + 1
    if energy.__class__ is not Transformer:
        torch.testing.assert_close(energy(at, mask), energy(x, mask))
    assert torch.autograd.grad(energy(at).sum(), at)[0].ne(0).all()
    with pytest.raises(ValueError, match=r"was built for events of shape \(6.* 4\); got"):
        energy(at[..., :3])


@ENERGIES
def test_nets_of_several_outputs(build, keys):
    net, energy = build((6,), **keys, outputs=3), build((6,), **keys)
    with torch.no_grad():
        weights = net.state_dict()
        last = [name for name in weights if name.startswith("head")][-2:]
        first = {name: value[:1] if name in last else value for name, value in weights.items()}
    energy.load_state_dict(first)
    x = torch.randn(5, 6)
    assert net(x).shape == (5, 3)
    torch.testing.assert_close(net(x)[:, 0], energy(x))


@ENERGIES
def test_other_spaces_have_no_table(build, keys):
    energy = build((6,), **keys, space=Binary())
    assert not any("table" in name for name in energy.state_dict())
    if "embedding" in keys:
        with pytest.raises(ValueError, match=r"^embedding should be a positive number; got 0"):
            build((6,), embedding=0)
