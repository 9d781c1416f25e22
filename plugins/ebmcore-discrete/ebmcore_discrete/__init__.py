"""Energies, samplers and data of discrete events for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_discrete.bars import Bars as Bars
    from ebmcore_discrete.block_gibbs import BlockGibbs as BlockGibbs
    from ebmcore_discrete.datasets.gray_code import GrayCode as GrayCode
    from ebmcore_discrete.datasets.ising_draws import IsingDraws as IsingDraws
    from ebmcore_discrete.gibbs import Gibbs as Gibbs
    from ebmcore_discrete.gibbs_with_gradients import GibbsWithGradients as GibbsWithGradients
    from ebmcore_discrete.ising import Ising as Ising
    from ebmcore_discrete.langevin import DMALA as DMALA
    from ebmcore_discrete.langevin import DULA as DULA
    from ebmcore_discrete.monitors.couplings import CouplingsPicture as CouplingsPicture
    from ebmcore_discrete.monitors.features import Features as Features
    from ebmcore_discrete.potts import Potts as Potts
    from ebmcore_discrete.rbm import RBM as RBM
    from ebmcore_discrete.state import GibbsInfo as GibbsInfo
    from ebmcore_discrete.state import GibbsState as GibbsState

_HOME = {
    "Bars": "bars",
    "BlockGibbs": "block_gibbs",
    "CouplingsPicture": "monitors.couplings",
    "DMALA": "langevin",
    "DULA": "langevin",
    "Features": "monitors.features",
    "Gibbs": "gibbs",
    "GibbsWithGradients": "gibbs_with_gradients",
    "GibbsInfo": "state",
    "GibbsState": "state",
    "GrayCode": "datasets.gray_code",
    "Ising": "ising",
    "IsingDraws": "datasets.ising_draws",
    "Potts": "potts",
    "RBM": "rbm",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
