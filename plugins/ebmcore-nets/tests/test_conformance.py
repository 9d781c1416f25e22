"""The networks through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore import Categorical
from ebmcore.testing import EnergySuite, NetworkSuite


class TestMLP(EnergySuite):
    component = "mlp"
    event_shapes: ClassVar = [(1,), (2,), (3, 4)]


class TestMLPOfCategories(EnergySuite):
    component = "mlp"
    params: ClassVar = {"hidden": [8], "activation": "silu"}
    check_space: ClassVar = Categorical(3)


class TestSmoothMLP(TestMLP):
    params: ClassVar = {"hidden": [8, 8], "activation": "softplus"}


class TestLinearMLP(TestMLP):
    params: ClassVar = {"hidden": [], "activation": "tanh"}


class TestNormedMLP(TestMLP):
    params: ClassVar = {"hidden": [8], "activation": "silu", "spectral_norm": True}


class TestConv(EnergySuite):
    component = "nets:conv"
    params: ClassVar = {"channels": [4, 8, 8]}
    event_shapes: ClassVar = [(8, 8), (3, 9, 7)]


class TestKinkedConv(TestConv):
    params: ClassVar = {"channels": [4, 8], "activation": "leaky_relu"}


class TestNormedConv(TestConv):
    params: ClassVar = {"channels": [4, 8], "activation": "elu", "spectral_norm": True}


class TestResNet(EnergySuite):
    component = "nets:resnet"
    params: ClassVar = {"width": 4, "blocks": 2}
    event_shapes: ClassVar = [(8, 8), (3, 5, 6)]


class TestKinkedResNet(TestResNet):
    params: ClassVar = {"width": 4, "blocks": 1, "activation": "leaky_relu"}


class TestNormedResNet(TestResNet):
    params: ClassVar = {"width": 4, "blocks": 2, "activation": "softplus", "spectral_norm": True}


class TestClassifier(EnergySuite):
    component = "classifier"
    params: ClassVar = {"net": {"type": "mlp", "hidden": [8], "activation": "tanh", "outputs": 4}}
    event_shapes: ClassVar = [(2,), (3, 4)]


class TestClassifierOfImages(EnergySuite):
    component = "classifier"
    params: ClassVar = {"net": {"type": "conv", "channels": [4, 8], "outputs": 3}}
    event_shapes: ClassVar = [(8, 8)]


class TestNoiseConditional(EnergySuite):
    component = "noise_conditional"
    params: ClassVar = {"net": {"type": "mlp", "hidden": [8], "activation": "silu", "outputs": 3}}


class TestClassConditional(EnergySuite):
    component = "class_conditional"
    params: ClassVar = {"net": {"type": "mlp", "hidden": [8], "activation": "silu", "outputs": 3}}


class TestGenerator(NetworkSuite):
    component = "generator"
    params: ClassVar = {"latent": 3, "hidden": [8, 8]}
    event_shapes: ClassVar = [(2,), (3, 4)]
