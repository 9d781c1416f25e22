"""Wrong components, each with the one fault that its name tells, and the right ones beside them."""

from kit_faults import chains, datasets, energies, losses, monitors, networks, samplers

FAULTS = (
    *energies.FAULTS,
    *networks.FAULTS,
    *samplers.FAULTS,
    *losses.FAULTS,
    *chains.FAULTS,
    *monitors.FAULTS,
    *datasets.FAULTS,
)
