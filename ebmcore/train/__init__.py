"""Training: the loop, its steps, their random streams, and what a run takes of the machine.

The names below are for plugins that start runs.
"""

from ebmcore.train.optim import without_compiler
from ebmcore.train.rng import derive, own_global_stream
from ebmcore.train.signals import Interrupts
from ebmcore.train.threads import processors

__all__ = ["Interrupts", "derive", "own_global_stream", "processors", "without_compiler"]
