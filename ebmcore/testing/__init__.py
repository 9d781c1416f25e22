"""The conformance kit: one suite a kind, which a plugin's author subclasses in five lines.

    from ebmcore.testing import EnergySuite

    class TestMLP(EnergySuite):
        component = "mlp"
        params = {"hidden": [8]}

`ebmcore check PLUGIN` runs the same checks with no test file at all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore.testing.chains import ChainsSuite
    from ebmcore.testing.datasets import DatasetSuite
    from ebmcore.testing.energies import EnergySuite
    from ebmcore.testing.failures import CheckFailed, NotApplicable
    from ebmcore.testing.losses import LossSuite
    from ebmcore.testing.monitors import MonitorSuite
    from ebmcore.testing.report import Outcome, check_plugin
    from ebmcore.testing.samplers import SamplerSuite
    from ebmcore.testing.statistics import from_law
    from ebmcore.testing.suite import Suite

__all__ = [
    "ChainsSuite",
    "CheckFailed",
    "DatasetSuite",
    "EnergySuite",
    "LossSuite",
    "MonitorSuite",
    "NotApplicable",
    "Outcome",
    "SamplerSuite",
    "Suite",
    "check_plugin",
    "from_law",
]

_HOME = {
    "ChainsSuite": "chains",
    "CheckFailed": "failures",
    "DatasetSuite": "datasets",
    "EnergySuite": "energies",
    "LossSuite": "losses",
    "MonitorSuite": "monitors",
    "NotApplicable": "failures",
    "Outcome": "report",
    "SamplerSuite": "samplers",
    "Suite": "suite",
    "check_plugin": "report",
    "from_law": "statistics",
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is first asked for, so that `import ebmcore.testing` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
