"""The transformer against torch's own encoder, and what its positions and its mean do."""

import math

import pytest
import torch
from ebmcore_sequence import Transformer
from ebmcore_sequence.transformer import sinusoids
from torch import nn


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def transformer(event_shape=(6, 2), **keys):
    energy = Transformer(event_shape, **{"width": 8, "heads": 2, "layers": 2, **keys}).double()
    with (
        torch.no_grad()
    ):  # LayerNorms that do nothing visible would hide behind their first weights
        for p in energy.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return energy.eval()


def events(energy, n=5):
    return torch.randn(n, *energy.event_shape, dtype=torch.float64)


def torchs_own(layer, heads):
    """torch.nn.TransformerEncoderLayer with the weights of ours."""
    attend_norm, attention, _ = layer.attend
    feed_norm, up, _, down, _ = layer.feed
    width = attend_norm.weight.numel()
    other = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
    ).double()
    pairs = [
        (other.norm1, attend_norm),
        (other.self_attn.out_proj, attention.outputs),
        (other.norm2, feed_norm),
        (other.linear1, up),
        (other.linear2, down),
    ]
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        other.self_attn.in_proj_weight.copy_(attention.inputs.weight)
        other.self_attn.in_proj_bias.copy_(attention.inputs.bias)
    return other


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_energy_is_its_formula(heads):
    energy = transformer(heads=heads)
    x = events(energy)
    h = x @ energy.embed.weight.T + energy.embed.bias
    for t in range(6):
        for i in range(4):
            angle = t / 10000 ** (2 * i / 8)
            h[:, t, 2 * i] += math.sin(angle)
            h[:, t, 2 * i + 1] += math.cos(angle)
    for layer in energy.layers:
        h = torchs_own(layer, heads)(h)
    centred = h - h.mean(2, keepdim=True)
    normed = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
    normed = normed * energy.norm.weight + energy.norm.bias
    expected = normed.sum(1) / 6 @ energy.head.weight[0] + energy.head.bias
    # the positions are stored as float32, the default dtype when the energy was built
    torch.testing.assert_close(energy(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 4])
def test_what_a_layer_is_made_of(heads):
    """Each is torch's own pre-norm layer with an exact gelu, to the last digits."""
    (layer,) = transformer(layers=1, heads=heads).layers
    h = 3 * torch.randn(5, 6, 8, dtype=torch.float64)
    theirs = torchs_own(layer, heads)(h)
    torch.testing.assert_close(layer(h), theirs, rtol=1e-12, atol=1e-12)


def test_positions_by_hand():
    p = sinusoids(4, 6)
    assert p.dtype == torch.float32
    row = [f(3 / 10000 ** (i / 3)) for i in range(3) for f in (math.sin, math.cos)]
    torch.testing.assert_close(p[3], torch.tensor(row))
    assert torch.equal(p[0], torch.tensor([0.0, 1.0] * 3))
    odd = sinusoids(4, 5)
    assert odd.shape == (4, 5)
    torch.testing.assert_close(odd[3, 4], torch.tensor(math.sin(3 / 10000 ** (4 / 5))))


def test_the_order_of_time_matters_by_the_positions_alone():
    energy = transformer()
    x = events(energy)
    shuffled = x[:, torch.tensor([3, 0, 5, 1, 4, 2])]
    assert ((energy(x) - energy(shuffled)).abs() > 1e-3).all()
    energy.positions.zero_()
    torch.testing.assert_close(energy(x), energy(shuffled))


def test_the_steps_are_averaged_not_summed():
    """Without positions, a sequence that repeats itself has the energy of the part it repeats."""
    once, thrice = transformer((4, 2)), transformer((12, 2))
    thrice.load_state_dict(once.state_dict())
    once.positions.zero_()
    thrice.positions.zero_()
    x = events(once)
    torch.testing.assert_close(thrice(x.repeat(1, 3, 1)), once(x))


def test_the_positions_are_not_parameters():
    energy = transformer()
    assert "positions" not in energy.state_dict()
    assert energy.positions.dtype == torch.float64
    assert not energy.positions.requires_grad


def test_one_channel_may_be_left_out():
    plain, channelled = transformer((6,)), transformer((6, 1))
    channelled.load_state_dict(plain.state_dict())
    x = events(plain)
    assert torch.equal(plain(x), channelled(x[:, :, None]))


def test_dropout_acts_in_train_mode_only():
    """It drops what the sub-layers add: when nearly all goes, the embedding's energy is left."""
    energy = transformer(dropout=0.5)
    x = events(energy)
    assert torch.equal(energy(x), energy(x))
    energy.train()
    assert (energy(x) != energy(x)).all()
    without = transformer()
    assert torch.equal(without.train()(x), without.eval()(x))
    almost = transformer(dropout=1 - 1e-12).train()
    bare = almost.norm(almost.embed(x) + almost.positions).mean(1) @ almost.head.weight[0]
    torch.testing.assert_close(almost(x), bare + almost.head.bias)


def test_the_defaults_and_the_widths():
    energy = Transformer((9, 3))
    assert energy.embed.weight.shape == (128, 3)
    assert len(energy.layers) == 2
    assert energy.layers[0].feed[1].weight.shape == (512, 128)
    assert energy.layers[0].attend[1].split == (3, 4, 32)
    assert energy.layers[0].attend[2].p == 0


def test_what_is_refused():
    for wrong in [(), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"of shape \(T,\) or \(T, C\); got \("):
            Transformer(wrong)
    for empty in [(0,), (5, 0)]:
        with pytest.raises(ValueError, match="hold no numbers"):
            Transformer(empty)
    for key in ("width", "layers", "heads"):
        with pytest.raises(ValueError, match=f"^{key} should be a positive number; got 0"):
            Transformer((5,), **{key: 0})
    with pytest.raises(ValueError, match="width should be a multiple of heads, 3; got 8"):
        Transformer((5,), width=8, heads=3)
    energy = transformer((6, 2))
    for shape in [(4, 2, 6), (4, 6), (4, 7, 2), (6, 2), (4, 1, 6, 2), ()]:
        with pytest.raises(
            ValueError, match=r"^energy transformer was built for .* \(6, 2\); got "
        ):
            energy(torch.zeros(shape, dtype=torch.float64))
