"""The chains through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import ChainsSuite


class TestData(ChainsSuite):
    component = "chains:data"
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestNoise(ChainsSuite):
    component = "noise"
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestNormalNoise(ChainsSuite):
    component = "noise"
    params: ClassVar = {"kind": "normal", "scale": 0.5}


class TestPersistent(ChainsSuite):
    component = "persistent"
    params: ClassVar = {"size": 40}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestPersistentOfOneBatch(ChainsSuite):
    component = "persistent"
    params: ClassVar = {"size": 16, "init": "normal"}


class TestReplay(ChainsSuite):
    component = "persistent"
    params: ClassVar = {"size": 40, "reinit": 0.3, "init": "data"}


class TestProposed(ChainsSuite):
    component = "proposed"
    event_shapes: ClassVar = [(2,), (4, 4)]
