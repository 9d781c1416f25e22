"""An event space as `ebmcore_testing` reads it: bits, as floats."""

import torch


class Binary:
    def sizes(self, event_shape):
        return (2,) * torch.Size(event_shape).numel()

    def dtype_in(self, dtype):
        return dtype

    def sample(self, shape, generator=None, device=None, dtype=None):
        return torch.randint(2, shape, generator=generator, dtype=dtype)

    def check(self, x):
        if not bool(((x == 0) | (x == 1)).all()):
            raise ValueError("binary events hold 0 and 1 alone")
