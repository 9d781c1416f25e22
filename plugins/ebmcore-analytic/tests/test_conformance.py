"""Each energy through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore_analytic import Gaussian, Mixture, Negated, Ring, Sum, Tempered
from torch import nn

from ebmcore.testing import EnergySuite


class TestGaussian(EnergySuite):
    component = "gaussian"
    event_shapes: ClassVar = [(1,), (2,), (3, 4)]


class TestLearnableGaussian(TestGaussian):
    params: ClassVar = {"mean": -0.5, "scale": 0.7, "learnable": True}


class TestFullGaussian(EnergySuite):
    component = "gaussian"
    params: ClassVar = {"covariance": [[2.0, 0.6], [0.6, 0.5]], "mean": [1.0, 2.0]}
    event_shapes: ClassVar = [(2,), (1, 2)]


class TestLearnableFullGaussian(TestFullGaussian):
    params: ClassVar = {**TestFullGaussian.params, "learnable": True}


class TestGaussianMixture(EnergySuite):
    component = "analytic:gaussian_mixture"


class TestLearnableGaussianMixture(EnergySuite):
    component = "analytic:gaussian_mixture"
    params: ClassVar = {"centers": [[0, 1, 2], [1, 0, 0]], "weights": [1, 2], "learnable": True}
    event_shapes: ClassVar = [(3,), (3, 1)]


class TestDoubleWell(EnergySuite):
    component = "double_well"
    event_shapes: ClassVar = [(1,), (2, 2)]


class TestLearnableDoubleWell(TestDoubleWell):
    params: ClassVar = {"height": 1.5, "separation": 3.0, "tilt": 0.4, "learnable": True}


class TestManyWell(EnergySuite):
    component = "many_well"
    event_shapes: ClassVar = [(2,), (3, 2)]


class TestLearnableManyWell(TestManyWell):
    params: ClassVar = {"depth": 3.0, "tilt": -0.2, "learnable": True}


class TestRing(EnergySuite):
    component = "ring"
    event_shapes: ClassVar = [(2,), (1, 2)]


class TestLearnableRing(TestRing):
    params: ClassVar = {"radius": 1.0, "width": 0.5, "learnable": True}


class TestFunnel(EnergySuite):
    component = "funnel"
    event_shapes: ClassVar = [(2,), (3, 2)]


class TestLearnableFunnel(TestFunnel):
    params: ClassVar = {"scale": 1.0, "learnable": True}


class TestRosenbrock(EnergySuite):
    component = "rosenbrock"
    event_shapes: ClassVar = [(2,), (2, 2)]


class TestLearnableRosenbrock(EnergySuite):
    component = "rosenbrock"
    params: ClassVar = {"mu": 0.3, "a": 0.5, "b": 2.0, "blocks": 2, "learnable": True}
    event_shapes: ClassVar = [(3,), (5,)]


class TestRastrigin(EnergySuite):
    component = "rastrigin"
    event_shapes: ClassVar = [(1,), (2, 2)]


class TestLearnableRastrigin(TestRastrigin):
    params: ClassVar = {"amplitude": 2.0, "learnable": True}


class TestAckley(EnergySuite):
    component = "ackley"
    event_shapes: ClassVar = [(1,), (2,), (2, 2)]


class TestWalledAckley(TestAckley):
    params: ClassVar = {"a": 5.0, "b": 0.5, "c": 3.0, "box": 0.4, "learnable": True}


class TestAckleyWithoutWalls(TestAckley):
    params: ClassVar = {"box": None}


def total(event_shape):
    """A sum of a trained module, another combination and a plain function."""

    def slope(x):
        return x.flatten(1).sum(1)

    learnt = Gaussian(event_shape, learnable=True)
    return Sum([learnt, Tempered(Ring(event_shape), temperature=3.0), slope], weights=[1, 2, -1])


def cooled(event_shape):
    """A network with kinks at another temperature."""
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))
    net.piecewise_linear = True
    return Tempered(net, temperature=0.5)


class TestSum(EnergySuite):
    component = total


class TestTempered(EnergySuite):
    component = cooled


class TestSumOfFunctions(EnergySuite):
    component = "sum"
    params: ClassVar = Sum.check_params


class TestTemperedFunction(EnergySuite):
    component = "tempered"
    params: ClassVar = Tempered.check_params
    event_shapes: ClassVar = [(2,), (2, 3)]


class TestMixture(EnergySuite):
    component = "mixture"
    params: ClassVar = Mixture.check_params


class TestMixtureOfParts(EnergySuite):
    component = "mixture"
    params: ClassVar = {"terms": [{"type": "ring"}, {"type": "gaussian"}]}


class TestNegated(EnergySuite):
    component = "negated"
    params: ClassVar = Negated.check_params


class TestNegatedWithoutBound(EnergySuite):
    component = "negated"
    params: ClassVar = {
        "energy": {"type": "gaussian"},
        "other": {"type": "gaussian", "scale": 2.0},
        "bound": None,
    }
