"""Training: the loop, its steps, their random streams, and what a run takes of the machine.

The names below are for plugins that start runs, and for the kit.
"""

from ebmcore.train.optim import load_schedule, load_state, without_compiler
from ebmcore.train.rng import derive, own_global_stream
from ebmcore.train.signals import Interrupts
from ebmcore.train.threads import processors

__all__ = [
    "Interrupts",
    "derive",
    "load_schedule",
    "load_state",
    "own_global_stream",
    "processors",
    "without_compiler",
]
