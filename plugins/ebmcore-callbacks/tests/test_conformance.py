"""Every callback through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import CallbackSuite


class TestEarlyStopping(CallbackSuite):
    component = "early_stopping"
    params: ClassVar = {"metric": "kl", "patience": 4}


class TestStopFile(CallbackSuite):
    component = "stop_file"


class TestNotify(CallbackSuite):
    component = "notify"
    params: ClassVar = {"command": ["true"]}
