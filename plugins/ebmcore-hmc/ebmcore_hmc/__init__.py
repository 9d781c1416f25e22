"""Hamiltonian Monte Carlo for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_hmc.integrator import Phase as Phase
    from ebmcore_hmc.integrator import leapfrog as leapfrog
    from ebmcore_hmc.kernel import HMC as HMC
    from ebmcore_hmc.kernel import HMCInfo as HMCInfo
    from ebmcore_hmc.kernel import HMCState as HMCState
    from ebmcore_hmc.nuts import NUTS as NUTS
    from ebmcore_hmc.nuts import NUTSInfo as NUTSInfo
    from ebmcore_hmc.nuts import NUTSState as NUTSState

_HOME = {
    "HMC": "kernel",
    "HMCInfo": "kernel",
    "HMCState": "kernel",
    "NUTS": "nuts",
    "NUTSInfo": "nuts",
    "NUTSState": "nuts",
    "Phase": "integrator",
    "leapfrog": "integrator",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
