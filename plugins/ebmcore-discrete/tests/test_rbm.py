"""The free energy against the sum over hidden states, log Z against that over all states."""

import pytest
import torch
from ebmcore_discrete import RBM


def machine(hidden=3, shape=(4,), scale=0.8):
    torch.manual_seed(0)
    rbm = RBM(hidden, scale=scale, event_shape=shape).double()
    with torch.no_grad():
        rbm.visible_bias.normal_()
        rbm.hidden_bias.normal_()
    return rbm


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_the_free_energy_sums_the_hidden_bits_out(shape, exact):
    rbm, v, h = machine(shape=shape), exact.events(2, shape), exact.events(2, (3,))
    flat = v.flatten(1)
    joint = (flat @ rbm.visible_bias)[:, None] + (h @ rbm.hidden_bias) + flat @ rbm.weight.T @ h.T
    torch.testing.assert_close(-rbm(v), torch.logsumexp(joint, 1))
    of_hidden = joint.softmax(1) @ h  # P(h_j = 1 | v) by the sum over all h
    torch.testing.assert_close(rbm.hidden_logits(v).sigmoid(), of_hidden)
    of_visible = joint.softmax(0).T @ flat
    torch.testing.assert_close(rbm.visible_logits(h).sigmoid().flatten(1), of_visible)


@pytest.mark.parametrize(("hidden", "bits"), [(3, 6), (6, 3), (13, 14)])  # the last in pieces
def test_log_z_enumerates_the_smaller_layer(hidden, bits, exact):
    rbm, v = machine(hidden, (bits,)), exact.events(2, (bits,))
    log_z, whole = rbm.log_z(), torch.logsumexp(-rbm(v), 0)
    torch.testing.assert_close(log_z, whole, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(log_z, rbm.visible_bias)
    torch.testing.assert_close(slope, exact.law(rbm, v) @ v)


def test_too_many_states_and_other_events_are_refused():
    with pytest.raises(ValueError, match=r"with 21 numbers of 2 values there are 2\^21"):
        RBM(21, event_shape=(22,)).log_z()
    with pytest.raises(ValueError, match=r"should have shape \(4,\); got \(2, 2\)"):
        machine()(torch.zeros(5, 2, 2).double())
    with pytest.raises(ValueError, match="hidden should be at least 1"):
        RBM(0, event_shape=(2,))
