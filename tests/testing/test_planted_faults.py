"""Each planted fault is caught by the check that is named for it; the right component passes."""

import pytest

from ebmcore.testing import CheckFailed, NotApplicable
from ebmcore.testing.report import SUITES
from support import faults

RIGHT = {fault.right.__name__: (fault.kind, fault.right) for fault in faults.FAULTS}


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
