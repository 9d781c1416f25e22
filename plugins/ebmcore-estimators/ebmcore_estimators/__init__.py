"""log Z of energies in any dimension for ebmcore: AIS, reverse AIS, SMC; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_estimators.bases import Base as Base
    from ebmcore_estimators.bases import Gaussian as Gaussian
    from ebmcore_estimators.bases import Uniform as Uniform
    from ebmcore_estimators.estimates import Bracket as Bracket
    from ebmcore_estimators.estimates import LogZ as LogZ
    from ebmcore_estimators.estimates import ais as ais
    from ebmcore_estimators.estimates import bracket as bracket
    from ebmcore_estimators.estimates import reverse_ais as reverse_ais
    from ebmcore_estimators.estimates import smc as smc
    from ebmcore_estimators.monitor import LogZMonitor as LogZMonitor
    from ebmcore_estimators.path import Path as Path
    from ebmcore_estimators.path import sigmoid as sigmoid

_HOME = {
    "Base": "bases",
    "Bracket": "estimates",
    "Gaussian": "bases",
    "LogZ": "estimates",
    "LogZMonitor": "monitor",
    "Path": "path",
    "Uniform": "bases",
    "ais": "estimates",
    "bracket": "estimates",
    "reverse_ais": "estimates",
    "sigmoid": "path",
    "smc": "estimates",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
