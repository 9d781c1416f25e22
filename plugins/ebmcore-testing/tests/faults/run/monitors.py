"""Wrong monitors, and the right one beside them."""

import torch
from kit_faults.fault import Fault


def mean_energy(view):
    """A right one."""
    with torch.no_grad():
        return {"mean": view.energy(view.data).mean(), "n": len(view.data)}


def calls_train(view):
    view.energy.train()
    return mean_energy(view)


def clamps_the_weights(view):
    for parameter in view.energy.parameters():
        parameter.data.clamp_(-0.01, 0.01)
    return mean_energy(view)


def draws_a_subset_globally(view):
    return {"first": view.data[torch.randperm(len(view.data))[:5]].mean()}


def scales_the_data_in_place(view):
    view.data.div_(view.data.abs().max())
    return mean_energy(view)


def returns_a_batch(view):
    return {"energies": view.energy(view.data).detach()}


def returns_nan(view):
    return {"log_z": float("nan")}


class ListsOthers:
    metrics = ("mean",)

    def __call__(self, view):
        return mean_energy(view)


class Counts:
    def __init__(self):
        self.looks = 0

    def __call__(self, view):
        self.looks += 1
        return {"looks": self.looks}


FAULTS = (
    Fault("monitor", calls_train, "model_untouched", mean_energy),
    Fault("monitor", clamps_the_weights, "model_untouched", mean_energy),
    Fault("monitor", draws_a_subset_globally, "streams_untouched", mean_energy),
    Fault("monitor", scales_the_data_in_place, "data_untouched", mean_energy),
    Fault("monitor", returns_a_batch, "results", mean_energy),
    Fault("monitor", returns_nan, "results", mean_energy),
    Fault("monitor", ListsOthers, "results", mean_energy),
    Fault("monitor", Counts, "reproducible", mean_energy),
)
