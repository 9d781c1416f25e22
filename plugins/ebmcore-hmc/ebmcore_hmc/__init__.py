"""Hamiltonian Monte Carlo for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_hmc.dual_averaging import DualAverage as DualAverage
    from ebmcore_hmc.dual_averaging import dual_average as dual_average
    from ebmcore_hmc.integrator import Phase as Phase
    from ebmcore_hmc.integrator import leapfrog as leapfrog
    from ebmcore_hmc.kernel import HMC as HMC
    from ebmcore_hmc.kernel import HMCInfo as HMCInfo
    from ebmcore_hmc.kernel import HMCState as HMCState

_HOME = {
    "HMC": "kernel",
    "DualAverage": "dual_averaging",
    "HMCInfo": "kernel",
    "HMCState": "kernel",
    "Phase": "integrator",
    "dual_average": "dual_averaging",
    "leapfrog": "integrator",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
