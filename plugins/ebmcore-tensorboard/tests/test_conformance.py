"""The tracker through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import TrackerSuite


class TestInTheRunDirectory(TrackerSuite):
    component = "tensorboard"


class TestInOneFolder(TrackerSuite):
    component = "tensorboard"
    params: ClassVar = {"log_dir": "logs"}
