"""Wrong losses, and the right ones beside them."""

import math

import torch
from kit_faults.fault import Fault

from ebmcore import loss


def gap(energy, x, x_neg):
    """A right one."""
    return energy(x).mean() - energy(x_neg.detach()).mean()


def gap_with_the_sign_reversed(energy, x, x_neg):
    return energy(x_neg.detach()).mean() - energy(x).mean()


def gap_of_each_event(energy, x, x_neg):
    return energy(x) - energy(x_neg)


def gap_and_penalty_undeclared(energy, x, x_neg):
    return gap(energy, x, x_neg) + 0.1 * energy(x).square().mean()


def gap_that_calls_backward(energy, x, x_neg):
    value = gap(energy, x, x_neg)
    value.backward(retain_graph=True)
    return value


def gap_with_global_noise(energy, x, x_neg):
    return gap(energy, x + 0.1 * torch.randn_like(x), x_neg)


def gap_that_is_cut(energy, x, x_neg):
    return gap(energy, x, x_neg).detach() + 0 * energy(x).mean()


@loss(regulariser=True, shift_invariant=False)
def penalty(energy, x):
    """A right one, that says what it is."""
    return energy(x).square().mean()


def _denoising(energy, x, generator, sigma, sign=1.0, create_graph=True):
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noised = (x + sigma * noise).requires_grad_()
    (slope,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=create_graph)
    value = 0.5 * (sigma * slope - sign * noise).square().flatten(1).sum(1).mean()
    return value if create_graph else value + 0 * energy(x).mean()


class Denoising:
    """A right one."""

    sign, create_graph = 1.0, True

    def __init__(self, sigma: float = 0.5):
        self.sigma = sigma

    def fitted_scale(self, scale):
        return math.hypot(scale, self.sigma)

    def __call__(self, energy, x, generator):
        return _denoising(energy, x, generator, self.sigma, self.sign, self.create_graph)


class DenoisingWithTheSignLost(Denoising):
    sign = -1.0


class DenoisingWithoutCreateGraph(Denoising):
    create_graph = False


class DenoisingThatForgetsItsBlur(Denoising):
    fitted_scale = None


def score_matching(energy, x):
    """A right one: ½‖∇E‖² - ΔE."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    trace = sum(
        torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i]
        for i in range(x.shape[1])
    )
    return (0.5 * slope.square().sum(1) - trace).mean()


def score_matching_without_the_trace(energy, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return 0.5 * slope.square().sum(1).mean()


def gap_of_finite_energies(energy, x, x_neg):
    return gap(energy, x[energy(x).isfinite()], x_neg)


def gap_that_asks_the_data_for_gradients(energy, x, x_neg):
    return gap(energy, x.requires_grad_(), x_neg)


FAULTS = (
    Fault("loss", DenoisingWithTheSignLost, "zero_at_truth", Denoising),
    Fault("loss", DenoisingWithTheSignLost, "leads_to_data", Denoising),
    Fault("loss", DenoisingThatForgetsItsBlur, "zero_at_truth", Denoising),
    Fault("loss", DenoisingWithoutCreateGraph, "gradient", Denoising),
    Fault("loss", score_matching_without_the_trace, "zero_at_truth", score_matching),
    Fault("loss", gap_with_the_sign_reversed, "leads_to_data", gap),
    Fault("loss", gap_that_is_cut, "leads_to_data", gap),
    Fault("loss", gap_that_is_cut, "gradient", gap),
    Fault("loss", gap_of_each_event, "scalar", gap),
    Fault("loss", gap_and_penalty_undeclared, "shift_invariant", penalty),
    Fault("loss", gap_and_penalty_undeclared, "zero_at_truth", penalty),
    Fault("loss", gap_that_calls_backward, "inputs_untouched", gap),
    Fault("loss", gap_with_global_noise, "inputs_untouched", gap),
    Fault("loss", gap_of_finite_energies, "no_host_sync", gap),
    Fault("loss", gap_that_asks_the_data_for_gradients, "inputs_untouched", gap),
)
