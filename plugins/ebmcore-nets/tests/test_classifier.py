"""The classifier's energies against softmax, and the nets with several outputs."""

import pytest
import torch
from ebmcore_nets import MLP, ClassConditional, Classifier, Conv, ResNet


@pytest.fixture
def energy() -> Classifier:
    return Classifier(MLP((2,), hidden=[8], activation="tanh", outputs=3)).double()


def test_p_of_y_given_x_is_the_softmax(energy):
    x = torch.randn(5, 2, dtype=torch.float64)
    joint = torch.stack([energy(x, torch.full((5,), y)) for y in range(3)], 1)
    torch.testing.assert_close(-joint, energy.logits(x))
    p = torch.exp(-joint) / torch.exp(-energy(x))[:, None]
    torch.testing.assert_close(p, torch.softmax(energy.logits(x), 1))


def test_the_temperature_divides_the_logits_and_multiplies_the_energy(energy):
    x, y = torch.randn(5, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    at = Classifier(energy.net, temperature=0.2)
    torch.testing.assert_close(at.logits(x), energy.logits(x) / 0.2)
    torch.testing.assert_close(at(x, y), energy(x, y))
    p = torch.exp((at(x) - at(x, y)) / 0.2)
    expected = torch.softmax(energy.logits(x) / 0.2, 1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(p, expected)


def test_each_event_takes_its_own_label(energy):
    x, y = torch.randn(3, 2, dtype=torch.float64), torch.tensor([2, 0, 1])
    logits = energy.logits(x)
    expected = -torch.stack([logits[0, 2], logits[1, 0], logits[2, 1]])
    torch.testing.assert_close(energy(x, y), expected)
    torch.testing.assert_close(energy(x, y.double()), expected)  # labels of a file may be floats
    torch.testing.assert_close(ClassConditional(energy.net)(x, y), -expected)


def test_a_net_of_one_output_and_wrong_labels_are_refused(energy):
    x = torch.randn(4, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"got \(4,\). Set its key `outputs`"):
        Classifier(MLP((2,)).double())(x)
    with pytest.raises(ValueError, match=r"one class number for each event, shape \(4,\)"):
        energy(x, torch.zeros(4, 1))


@pytest.mark.parametrize("make", [MLP, Conv, ResNet])
def test_one_output_is_an_energy_and_several_are_a_table(make):
    x = torch.randn(5, 8, 8)
    keys = {"channels": [4, 4]} if make is Conv else {}
    assert make((8, 8), **keys)(x).shape == (5,)
    assert make((8, 8), outputs=3, **keys)(x).shape == (5, 3)
    with pytest.raises(ValueError, match="outputs should be positive"):
        make((8, 8), outputs=0, **keys)
