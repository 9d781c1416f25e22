"""Training: the loop, its step, and the state that they keep."""

from ebmcore.train.rng import own_global_stream

__all__ = ["own_global_stream"]
