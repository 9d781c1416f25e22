"""Each transform through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

import torch

from ebmcore import Binary, Categorical
from ebmcore.testing import TransformSuite


def spread(n, event_shape, generator):
    """Numbers of quite different sizes and places, in the digits of float32."""
    x = torch.randn((n, *event_shape), generator=generator, dtype=torch.float64)
    size = torch.linspace(-2, 2, x[0].numel(), dtype=torch.float64).exp().reshape(event_shape)
    return (x * size + 3 * size).float()


class TestStandardise(TransformSuite):
    component = "standardise"
    event_shapes: ClassVar = [(3,), (2, 4, 4)]
    check_batch = spread


class TestStandardiseChannels(TestStandardise):
    params: ClassVar = {"per": "channel"}


class TestRobustScale(TestStandardise):
    component = "robust_scale"
    params: ClassVar = {"per": "event"}


class TestMinMax(TestStandardise):
    component = "min_max"
    params: ClassVar = {"low": -1.0, "high": 3.0}


class TestRankGaussian(TestStandardise):
    component = "rank_gaussian"
    params: ClassVar = {"knots": 20}


class TestWhiten(TestStandardise):
    component = "whiten"


class TestDequantise(TransformSuite):
    component = "dequantise"
    check_space = Categorical(256)


class TestDequantiseBits(TransformSuite):
    component = "dequantise"
    check_space = Binary()


class TestLogit(TransformSuite):
    component = "logit"


class TestLogitNearItsEnds(TransformSuite):
    component = "logit"
    params: ClassVar = {"alpha": 1e-6}


class TestOneHot(TransformSuite):
    component = "one_hot"


class TestPad(TransformSuite):
    component = "pad"
    params: ClassVar = {"to": [7, 8]}


class TestAugment(TransformSuite):
    component = "augment"
    params: ClassVar = {"flip": True, "shift": 2}


class TestCrop(TransformSuite):
    component = "augment"
    params: ClassVar = {"crop": 4, "flip": True}
