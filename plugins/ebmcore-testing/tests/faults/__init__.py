"""Wrong components, each with the one fault that its name tells, and the right ones beside them."""

from kit_faults import (
    carried,
    chains,
    datasets,
    discrete,
    energies,
    given,
    losses,
    networks,
    purity,
    samplers,
    unusual,
)
from kit_faults.run import callbacks, monitors

FAULTS = (
    *energies.FAULTS,
    *networks.FAULTS,
    *samplers.FAULTS,
    *losses.FAULTS,
    *chains.FAULTS,
    *monitors.FAULTS,
    *callbacks.FAULTS,
    *datasets.FAULTS,
    *purity.FAULTS,
    *carried.FAULTS,
    *unusual.FAULTS,
    *discrete.FAULTS,
    *given.FAULTS,
)
RIGHT = (*unusual.RIGHT, *given.RIGHT)  # no fault stands beside these
