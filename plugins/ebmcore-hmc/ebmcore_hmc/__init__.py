"""Hamiltonian Monte Carlo for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_hmc.dual_averaging import DualAverage, dual_average
    from ebmcore_hmc.integrator import Phase, leapfrog
    from ebmcore_hmc.kernel import HMC, HMCInfo, HMCState

__all__ = ["HMC", "DualAverage", "HMCInfo", "HMCState", "Phase", "dual_average", "leapfrog"]

_HOME = {
    "HMC": "kernel",
    "DualAverage": "dual_averaging",
    "HMCInfo": "kernel",
    "HMCState": "kernel",
    "Phase": "integrator",
    "dual_average": "dual_averaging",
    "leapfrog": "integrator",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
