"""The conformance kit: one suite for each kind of component, subclassed in five lines.

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
    from ebmcore_testing.failures import CheckFailed, NotApplicable
    from ebmcore_testing.host_sync import HostSync, no_host_sync
    from ebmcore_testing.measures.statistics import from_law
    from ebmcore_testing.report import Outcome, check_component, check_plugin
    from ebmcore_testing.suites.callbacks import CallbackSuite
    from ebmcore_testing.suites.chains import ChainsSuite
    from ebmcore_testing.suites.datasets import DatasetSuite
    from ebmcore_testing.suites.energies import EnergySuite
    from ebmcore_testing.suites.losses import LossSuite
    from ebmcore_testing.suites.lr_schedulers import LRSchedulerSuite
    from ebmcore_testing.suites.monitors import MonitorSuite
    from ebmcore_testing.suites.networks import NetworkSuite
    from ebmcore_testing.suites.optimizers import OptimizerSuite
    from ebmcore_testing.suites.samplers import SamplerSuite
    from ebmcore_testing.suites.suite import Suite
    from ebmcore_testing.suites.trackers import TrackerSuite
    from ebmcore_testing.suites.transforms import TransformSuite

__all__ = [
    "CallbackSuite",
    "ChainsSuite",
    "CheckFailed",
    "DatasetSuite",
    "EnergySuite",
    "HostSync",
    "LRSchedulerSuite",
    "LossSuite",
    "MonitorSuite",
    "NetworkSuite",
    "NotApplicable",
    "OptimizerSuite",
    "Outcome",
    "SamplerSuite",
    "Suite",
    "TrackerSuite",
    "TransformSuite",
    "check_component",
    "check_plugin",
    "from_law",
    "no_host_sync",
]

_HOME = {
    "CallbackSuite": "suites.callbacks",
    "ChainsSuite": "suites.chains",
    "CheckFailed": "failures",
    "DatasetSuite": "suites.datasets",
    "EnergySuite": "suites.energies",
    "HostSync": "host_sync",
    "LRSchedulerSuite": "suites.lr_schedulers",
    "LossSuite": "suites.losses",
    "MonitorSuite": "suites.monitors",
    "NetworkSuite": "suites.networks",
    "NotApplicable": "failures",
    "OptimizerSuite": "suites.optimizers",
    "Outcome": "report",
    "SamplerSuite": "suites.samplers",
    "Suite": "suites.suite",
    "TrackerSuite": "suites.trackers",
    "TransformSuite": "suites.transforms",
    "check_component": "report",
    "check_plugin": "report",
    "from_law": "measures.statistics",
    "no_host_sync": "host_sync",
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is first asked for, so that importing the kit stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
