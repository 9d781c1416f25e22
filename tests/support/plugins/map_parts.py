"""Transforms, right and wrong; the core's tests load it as a plugin."""

import torch

from ebmcore import Binary, Transform, transform


@transform(name="centred")
class Centred(Transform):
    """Shifts the training rows to mean 0."""

    def fit(self, x):
        self.mean = x.mean(0)

    def __call__(self, x):
        return x - self.mean.to(x)

    def inverse(self, x):
        return x + self.mean.to(x)

    def log_abs_det(self, x):
        return x.new_zeros(len(x))

    def state_dict(self):
        return {"mean": self.mean}

    def load_state_dict(self, state):
        self.mean = state["mean"]


@transform
def jitters(x, generator, *, sigma: float = 0.1):
    """Adds noise to each training batch."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + sigma * noise


@transform
def doubled(x):
    """A map without inverse, for all that ebmcore knows."""
    return 2 * x


@transform(name="bits")
class Bits(Transform):
    """Takes bits alone."""

    spaces = (Binary,)

    def __call__(self, x):
        return 1 - x


@transform(name="early")
class Early(Transform):
    """Asks for what it can't know when it is built."""

    def __init__(self, event_shape):
        self.event_shape = event_shape
