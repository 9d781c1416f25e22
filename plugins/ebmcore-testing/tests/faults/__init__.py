"""Wrong components, each with the one fault that its name tells, and the right ones beside them."""

from kit_faults import (
    carried,
    chains,
    discrete,
    energies,
    given,
    informed,
    losses,
    networks,
    purity,
    samplers,
    unusual,
)
from kit_faults.data import datasets, transforms
from kit_faults.run import callbacks, monitors, trackers
from kit_faults.training import lr_schedulers, optimizers

FAULTS = (
    *energies.FAULTS,
    *networks.FAULTS,
    *samplers.FAULTS,
    *losses.FAULTS,
    *chains.FAULTS,
    *monitors.FAULTS,
    *callbacks.FAULTS,
    *trackers.FAULTS,
    *datasets.FAULTS,
    *purity.FAULTS,
    *carried.FAULTS,
    *unusual.FAULTS,
    *discrete.FAULTS,
    *given.FAULTS,
    *informed.FAULTS,
    *optimizers.FAULTS,
    *lr_schedulers.FAULTS,
    *transforms.FAULTS,
)
RIGHT = (
    *unusual.RIGHT,
    *given.RIGHT,
    *optimizers.RIGHT,
    *lr_schedulers.RIGHT,
)  # no fault stands beside these
