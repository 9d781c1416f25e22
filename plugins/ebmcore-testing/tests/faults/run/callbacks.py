"""Wrong callbacks, and the right one beside them."""

import torch
from kit_faults.fault import Fault


class Lowest:
    """A right one: logs the lowest loss so far, and stops the run after ten records above it."""

    def __init__(self):
        self.lowest, self.above = [1e9], 0

    def on_metrics(self, run, step, metrics):
        if "loss" not in metrics:
            return
        self.above += 1
        if metrics["loss"] < self.lowest[0]:
            self.lowest[0], self.above = metrics["loss"], 0
        run.log_metric("lowest", self.lowest[0])
        if self.above == 10:
            run.stop("enough")

    def on_end(self, run, status):
        run.warn(f"the lowest loss was {self.lowest[0]}")

    def state_dict(self):
        return {"lowest": list(self.lowest), "above": self.above}

    def load_state_dict(self, state):
        self.lowest, self.above = list(state["lowest"]), state["above"]


class MisspeltEvent(Lowest):
    def on_metric(self, run, step, metrics):
        pass


class LacksAnArgument(Lowest):
    def on_end(self, run):
        pass


class SavesAndNeverRestores(Lowest):
    load_state_dict = property()


class RaisesOnNan(Lowest):
    def on_metrics(self, run, step, metrics):
        super().on_metrics(run, step, {name: float(int(v)) for name, v in metrics.items()})


class KeepsItsOwnState(Lowest):
    def state_dict(self):
        return {"lowest": self.lowest, "above": self.above}


class SavesAnObject(Lowest):
    def state_dict(self):
        return {**super().state_dict(), "owner": self}


class RestoresHalf(Lowest):
    def load_state_dict(self, state):
        self.lowest = list(state["lowest"])


class ForgetsTheCount(Lowest):
    def state_dict(self):
        return {"lowest": list(self.lowest)}

    def load_state_dict(self, state):
        self.lowest = list(state["lowest"])


class Forgets(Lowest):
    state_dict = load_state_dict = property()


class ClampsTheWeights(Lowest):
    def on_metrics(self, run, step, metrics):
        for parameter in run.energy.parameters():
            parameter.data.clamp_(-0.01, 0.01)
        super().on_metrics(run, step, metrics)


class CallsEval(Lowest):
    def on_checkpoint(self, run, path):
        run.energy.eval()


class DrawsGlobally(Lowest):
    def on_step(self, run, step):
        torch.randn(3)


FAULTS = tuple(
    Fault("callback", wrong, check, Lowest, raises)
    for wrong, check, raises in (
        (MisspeltEvent, "methods", False),
        (LacksAnArgument, "methods", False),
        (SavesAndNeverRestores, "methods", False),
        (RaisesOnNan, "events", True),
        (KeepsItsOwnState, "state_round_trip", False),
        (SavesAnObject, "state_round_trip", False),
        (RestoresHalf, "state_round_trip", False),
        (ForgetsTheCount, "resumes", False),
        (Forgets, "resumes", False),
        (ClampsTheWeights, "model_untouched", False),
        (CallsEval, "model_untouched", False),
        (DrawsGlobally, "streams_untouched", False),
    )
)
