"""The monitor through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore import Binary
from ebmcore.testing import MonitorSuite


class TestLogZ(MonitorSuite):
    component = "log_z"
    params: ClassVar = {"n": 32, "steps": 8, "small": True}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestLogZOfBits(MonitorSuite):
    component = "log_z"
    params: ClassVar = {"n": 32, "steps": 4, "small": True}
    check_space: ClassVar = Binary()
    event_shapes: ClassVar = [(6,)]
