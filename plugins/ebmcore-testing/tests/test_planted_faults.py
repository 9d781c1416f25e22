"""Each planted fault is caught by the check that is named for it; the right component passes."""

import importlib.util
import sys
from pathlib import Path

import pytest
from ebmcore_testing.report import SUITES

from ebmcore.testing import CheckFailed, NotApplicable

_folder = Path(__file__).with_name("faults")
_spec = importlib.util.spec_from_file_location(
    "kit_faults", _folder / "__init__.py", submodule_search_locations=[str(_folder)]
)
faults = importlib.util.module_from_spec(_spec)
sys.modules["kit_faults"] = faults  # where torch.compile looks for its functions
_spec.loader.exec_module(faults)

PAIRS = [*((fault.kind, fault.right) for fault in faults.FAULTS), *faults.RIGHT]
RIGHT = {component.__name__: (kind, component) for kind, component in PAIRS}


def suite(kind, component):
    return type("Planted", (SUITES[kind],), {"component": component})()


@pytest.mark.parametrize(
    "fault", faults.FAULTS, ids=lambda fault: f"{fault.wrong.__name__}-{fault.check}"
)
def test_each_fault_is_caught_by_name(fault):
    with pytest.raises(CheckFailed) as caught:
        suite(fault.kind, fault.wrong).run(fault.check)
    failure = caught.value
    assert failure.check == fault.check
    assert failure.expected
    assert failure.allowed
    assert failure.cause
    assert failure.measured.startswith("it raised") == fault.raises, str(failure)


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_component_passes_every_check(name):
    kind, component = RIGHT[name]
    one = suite(kind, component)
    passed = []
    for check in one.checks():
        try:
            one.run(check)
            passed.append(check)
        except NotApplicable:
            continue
    caught = {fault.check for fault in faults.FAULTS if fault.right is component}
    assert component is faults.losses.penalty or caught <= {*passed}
