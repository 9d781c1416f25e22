"""Wrong transforms, and the right ones beside them."""

import torch
from kit_faults.fault import Fault

from ebmcore import Categorical, Real, Transform


class Scaled(Transform):
    """A right one: (x - mean) / std of the training rows."""

    def fit(self, x):
        self.mean, self.std = x.mean(0), x.std(0)

    def __call__(self, x):
        return (x - self.mean.to(x)) / self.std.to(x)

    def inverse(self, x):
        return x * self.std.to(x) + self.mean.to(x)

    def log_abs_det(self, x):
        return -self.std.log().sum().to(x).expand(len(x))

    def state_dict(self):
        return {"mean": self.mean, "std": self.std}

    def load_state_dict(self, state):
        self.mean, self.std = state["mean"], state["std"]


class ScalesByTheBatch(Scaled):
    def __call__(self, x):
        return (x - x.mean(0)) / self.std.to(x)


class LearnsFromEveryCall(Scaled):
    def __call__(self, x):
        mapped = super().__call__(x)
        self.mean = 0.9 * self.mean.to(x) + 0.1 * x.mean(0)
        return mapped


class HasTheWrongSign(Scaled):
    def log_abs_det(self, x):
        return -super().log_abs_det(x)


class ForgetsTheDimensions(Scaled):
    def log_abs_det(self, x):
        return -self.std.log().mean().to(x).expand(len(x))


class GivesOneNumberForAll(Scaled):
    def log_abs_det(self, x):
        return -self.std.log().sum().to(x)


class UndoesByTheVariance(Scaled):
    def inverse(self, x):
        return x * self.std.to(x) ** 2 + self.mean.to(x)


class ForgetsItsState(Scaled):
    def state_dict(self):
        return {"mean": self.mean}

    def load_state_dict(self, state):
        self.mean, self.std = state["mean"], torch.ones_like(state["mean"])


class KeepsAnObject(Scaled):
    def state_dict(self):
        return {**super().state_dict(), "made": object()}


class WritesToItsRows(Scaled):
    def __call__(self, x):
        x -= self.mean.to(x)
        return x / self.std.to(x)


class StaysWhereItWasFitted(Scaled):
    def __call__(self, x):
        return torch.zeros(x.shape, dtype=x.dtype) + 1.0


class Noisy(Transform):
    """A right one: whole numbers to reals."""

    spaces = (Categorical,)
    draws = True
    check_space = Categorical(4)

    def space(self, space):
        return Real()

    def __call__(self, x, generator=None):
        return x + (
            0.5 if generator is None else torch.rand(x.shape, generator=generator, dtype=x.dtype)
        )

    def inverse(self, x):
        return x.floor()

    def log_abs_det(self, x):
        return x.new_zeros(len(x))


class DoesNotSayThatItDraws(Noisy):
    draws = False


class DrawsFromTheGlobalStream(Noisy):
    def __call__(self, x, generator=None):
        return x + torch.rand(x.shape, dtype=x.dtype)


class DrawsWithoutAGenerator(Noisy):
    def __call__(self, x, generator=None):
        return x + torch.rand(x.shape, generator=generator, dtype=x.dtype)


class KeepsTheSpaceOfWholeNumbers(Noisy):
    def space(self, space):
        return space


FAULTS = (
    Fault("transform", ScalesByTheBatch, "rows_apart", Scaled),
    Fault("transform", LearnsFromEveryCall, "fits_training_rows_alone", Scaled),
    Fault("transform", HasTheWrongSign, "log_abs_det", Scaled),
    Fault("transform", ForgetsTheDimensions, "log_abs_det", Scaled),
    Fault("transform", GivesOneNumberForAll, "log_abs_det", Scaled),
    Fault("transform", UndoesByTheVariance, "round_trip", Scaled),
    Fault("transform", ForgetsItsState, "state_round_trip", Scaled),
    Fault("transform", KeepsAnObject, "state_round_trip", Scaled),
    Fault("transform", WritesToItsRows, "pure", Scaled),
    Fault("transform", StaysWhereItWasFitted, "device", Scaled),
    Fault("transform", DoesNotSayThatItDraws, "generator", Noisy),
    Fault("transform", DrawsFromTheGlobalStream, "pure", Noisy),
    Fault("transform", DrawsWithoutAGenerator, "generator", Noisy),
    Fault("transform", KeepsTheSpaceOfWholeNumbers, "shape", Noisy),
)
