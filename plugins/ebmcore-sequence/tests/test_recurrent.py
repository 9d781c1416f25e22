"""The recurrent energies against their formula, with cells and directions written out."""

import pytest
import torch
from ebmcore_sequence import GRU, LSTM

BOTH = pytest.mark.parametrize("build", [LSTM, GRU])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def lstm_cell(gates_x, gates_h, state):
    """Torch's documented cell: gates in the order input, forget, candidate, output."""
    i, f, g, o = (gates_x + gates_h).chunk(4, 1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def gru_cell(gates_x, gates_h, state):
    """Torch's documented cell: gates in the order reset, update, candidate."""
    (r, z, n), (r_h, z_h, n_h) = gates_x.chunk(3, 1), gates_h.chunk(3, 1)
    candidate = torch.tanh(n + torch.sigmoid(r + r_h) * n_h)
    update = torch.sigmoid(z + z_h)
    return ((1 - update) * candidate + update * state[0],)


def read(network, x, layer, suffix, cell):
    """The outputs of one direction, in the order of the steps of x, and its last state."""
    weights = (
        f"{kind}_{of}_l{layer}{suffix}" for kind in ("weight", "bias") for of in ("ih", "hh")
    )
    w_x, w_h, b_x, b_h = (getattr(network, name) for name in weights)
    state = (x.new_zeros(len(x), network.hidden_size),) * 2
    steps = range(x.shape[1]) if not suffix else reversed(range(x.shape[1]))
    outputs = {}
    for t in steps:
        state = cell(x[:, t] @ w_x.T + b_x, state[0] @ w_h.T + b_h, state)
        outputs[t] = state[0]
    return torch.stack([outputs[t] for t in range(x.shape[1])], 1), state[0]


def by_hand(energy, x):
    """E(x) with each cell, direction and layer written out."""
    network = energy.recurrent
    cell = lstm_cell if isinstance(network, torch.nn.LSTM) else gru_cell
    suffixes = ["", "_reverse"] if network.bidirectional else [""]
    for layer in range(network.num_layers):
        read_out = [read(network, x, layer, suffix, cell) for suffix in suffixes]
        x = torch.cat([outputs for outputs, _ in read_out], 2)
    first, _, last = energy.head
    hidden = torch.cat([final for _, final in read_out], 1) @ first.weight.T + first.bias
    return (hidden * torch.sigmoid(hidden)) @ last.weight[0] + last.bias


@BOTH
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_energy_is_its_formula(build, bidirectional, layers):
    keys = {"hidden": 4, "layers": layers, "bidirectional": bidirectional, "head_width": 3}
    energy = build((6, 2), **keys).double()
    x = torch.randn(5, 6, 2, dtype=torch.float64)
    torch.testing.assert_close(energy(x), by_hand(energy, x))


@BOTH
def test_the_final_states_are_h_n_of_the_last_layer(build):
    energy = build((6, 2), hidden=4, layers=2).double()
    x = torch.randn(5, 6, 2, dtype=torch.float64)
    outputs, final = energy.recurrent(x)
    h_n = final[0] if build is LSTM else final
    states = energy.final_states(x)
    assert torch.equal(states, torch.cat([h_n[-2], h_n[-1]], 1))
    assert torch.equal(states, torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], 1))
    assert not torch.isclose(states[:, 4:], outputs[:, -1, 4:]).any()  # one token's reading


def response(energy, step):
    """How far the energies move when one step of a sequence of zeros does, by 1."""
    x = torch.zeros(1, *energy.event_shape, dtype=torch.float64)
    moved = x.clone()
    moved[:, step] = 1.0
    return (energy(moved) - energy(x)).abs().item()


@BOTH
def test_both_ends_of_a_long_sequence_are_read(build):
    """200 steps on, a direction has forgotten; so each end affects only one of the two.

    The forward direction alone answers to the first token by less than 1e-9; an energy that reads
    the outputs of the last step does no better, since the backward direction has read one token.
    """
    both = build((200,), hidden=8, layers=1).double()
    forward = build((200,), hidden=8, layers=1, bidirectional=False).double()
    assert response(both, 0) > 1e-4
    assert response(both, -1) > 1e-4
    assert response(forward, -1) > 1e-4
    assert response(forward, 0) < 1e-9


@BOTH
def test_one_channel_may_be_left_out(build):
    plain, channelled = build((6,), hidden=4), build((6, 1), hidden=4)
    channelled.load_state_dict(plain.state_dict())
    x = torch.randn(5, 6)
    assert torch.equal(plain(x), channelled(x[:, :, None]))


@BOTH
def test_the_defaults_and_the_widths(build):
    energy = build((9, 3))
    assert energy.recurrent.hidden_size == 128
    assert energy.recurrent.num_layers == 2
    assert energy.recurrent.bidirectional
    assert [tuple(p.shape) for p in energy.head.parameters()] == [
        (128, 256), (128,), (1, 128), (1,),
    ]  # fmt: skip
    narrow = build((9, 3), hidden=5, bidirectional=False, head_width=7)
    assert narrow.head[0].weight.shape == (7, 5)


@BOTH
def test_what_is_refused(build):
    for wrong in [(), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"of shape \(T,\) or \(T, C\); got \("):
            build(wrong)
    for empty in [(0,), (5, 0)]:
        with pytest.raises(ValueError, match="hold no numbers"):
            build(empty)
    for key in ("hidden", "layers", "head_width"):
        with pytest.raises(ValueError, match=f"^{key} should be a positive number; got 0"):
            build((5,), **{key: 0})
    energy = build((6, 2), hidden=3)
    for shape in [(4, 2, 6), (4, 6), (4, 7, 2), (6, 2), (4, 1, 6, 2), ()]:
        name = build.__name__.lower()
        with pytest.raises(ValueError, match=rf"^energy {name} was built for .* \(6, 2\); got "):
            energy(torch.zeros(shape))


@BOTH
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_mask_leaves_the_steps_that_count(build, bidirectional):
    energy = build((6, 2), hidden=4, head_width=3, bidirectional=bidirectional).double()
    x = torch.randn(5, 6, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0],
                         [0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1]]).bool()  # fmt: skip
    values = energy(x, mask)
    alone = [by_hand(energy, event[steps][None])[0] for event, steps in zip(x, mask, strict=True)]
    torch.testing.assert_close(values, torch.stack(alone))
    (gradient,) = torch.autograd.grad(values.sum(), x)
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).all()
    other = torch.where(mask[..., None], x, 1e3 * torch.randn_like(x))
    assert torch.equal(energy(other, mask), values)


@BOTH
def test_masks_that_fit_no_sequence(build):
    energy = build((3,), hidden=2, head_width=2)
    with pytest.raises(ValueError, match=r"one value for each step, shape \(4, 3\); got \(4,\)"):
        energy(torch.zeros(4, 3), torch.ones(4))
    assert energy(torch.zeros(1, 3), torch.zeros(1, 3)).isnan().all()
