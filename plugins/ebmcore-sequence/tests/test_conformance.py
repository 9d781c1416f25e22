"""The energies through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import EnergySuite


class TestLSTM(EnergySuite):
    component = "lstm"
    params: ClassVar = {"hidden": 6, "head_width": 5}
    event_shapes: ClassVar = [(7,), (5, 2), (1, 3)]


class TestForwardLSTM(TestLSTM):
    params: ClassVar = {"hidden": 6, "layers": 1, "bidirectional": False, "head_width": 5}


class TestGRU(TestLSTM):
    component = "sequence:gru"


class TestForwardGRU(TestForwardLSTM):
    component = "sequence:gru"


class TestTransformer(EnergySuite):
    component = "transformer"
    params: ClassVar = {"width": 8, "heads": 2}
    event_shapes: ClassVar = [(7,), (5, 2), (1, 3)]


class TestDroppingTransformer(TestTransformer):
    params: ClassVar = {"width": 9, "heads": 1, "layers": 1, "dropout": 0.3}
