"""A small classifier of a run's labelled data, whose features tell samples from data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

STEPS, BATCH = 400, 128
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-2
FEATURES = 64
_SIDE = 32  # of larger images, which are averaged to it
_SMALLEST = 4  # side of an image that two convolutions can halve


class Judged(NamedTuple):
    """Points as the classifier sees them."""

    features: Tensor  # (n, FEATURES), float64, shifted and scaled as those of the training points
    p: Tensor  # (n, classes), float64


class Judge:
    """A classifier trained on labelled points, on the CPU, the same bits for the same points.

    Of images, (height, width) or (channels, height, width), it is two convolutions that halve the
    image, 16 and 32 channels, and a hidden layer of 64 numbers, which are the features; of other
    events two hidden layers, 128 and 64. Images of more than 32×32 are averaged to that. It takes
    400 steps of AdamW with batches of 128. The features are shifted to mean 0 and scaled together
    to a mean variance of 1 over the training points.

    Args:
        x: Events, (n, *event).
        labels: The number of each one's class, (n,), from 0 to classes - 1.
        classes: How many there are.
        generator: Draws the weights and the batches; on the CPU.
    """

    def __init__(self, x: Tensor, labels: Tensor, *, classes: int, generator: Generator) -> None:
        x = _on_cpu(x)
        self.centre, self.spread = x.mean(), float(x.std()) or 1.0
        self.body, self.head = _network(tuple(x.shape[1:]), classes, generator)
        self._train(x, labels, generator)
        self.shift, self.scale = torch.zeros(()), 1.0
        features = self(x).features
        self.shift = features.mean(0)
        self.scale = float(features.var(0).mean().sqrt()) or 1.0

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Judged:
        """Return the features of points and what the classifier says of them."""
        found = [self.body(self._seen(part)) for part in torch.split(_on_cpu(x), 512)]
        features = torch.cat(found)
        p = self.head(features).double().softmax(1)
        return Judged((features.double() - self.shift) / self.scale, p)

    def _seen(self, x: Tensor) -> Tensor:
        """Return events as the network takes them: images of at most 32×32, or rows."""
        x = (x - self.centre) / self.spread
        if not _are_images(tuple(x.shape[1:])):
            return x.flatten(1)
        images = x.reshape(len(x), -1, *x.shape[-2:])
        height, width = (min(side, _SIDE) for side in images.shape[-2:])
        return functional.adaptive_avg_pool2d(images, (height, width))

    @torch.enable_grad()
    def _train(self, x: Tensor, labels: Tensor, generator: Generator) -> None:
        net = nn.Sequential(self.body, self.head)
        optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        order = torch.empty(0, dtype=torch.int64)
        for step in range(STEPS):
            if len(order) < BATCH:
                order = torch.cat([order, torch.randperm(len(x), generator=generator)])
            rows, order = order[:BATCH], order[BATCH:]
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(self._seen(x[rows])), labels[rows])
            torch.autograd.backward(loss)
            optimizer.step()
        net.requires_grad_(False)


def _are_images(event_shape: Sequence[int]) -> bool:
    return len(event_shape) in (2, 3) and min(event_shape[-2:]) >= _SMALLEST


def _on_cpu(x: Tensor) -> Tensor:
    return x.detach().cpu().float()


def _network(
    event_shape: tuple[int, ...], classes: int, generator: Generator
) -> tuple[nn.Module, nn.Module]:
    """Return the layers up to the features, and the one from these to the classes."""

    def convolution(inputs: int, outputs: int) -> nn.Module:
        layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, device="meta")
        return _drawn(layer, generator)

    def linear(inputs: int, outputs: int) -> nn.Module:
        return _drawn(nn.Linear(inputs, outputs, device="meta"), generator)

    layers: list[nn.Module]
    if _are_images(event_shape):
        channels = event_shape[0] if len(event_shape) == 3 else 1
        height, width = (min(side, _SIDE) // 4 for side in event_shape[-2:])
        layers = [convolution(channels, 16), nn.SiLU(), convolution(16, 32), nn.SiLU()]
        layers += [nn.Flatten(), linear(32 * height * width, FEATURES)]
    else:
        layers = [linear(math.prod(event_shape), 128), nn.SiLU(), linear(128, FEATURES)]
    return nn.Sequential(*layers, nn.SiLU()), linear(FEATURES, classes)


def _drawn(layer: nn.Module, generator: Generator) -> nn.Module:
    """Draw a layer's weights from the generator, and nothing from torch's own."""
    layer = layer.to_empty(device="cpu").float()
    for weight in layer.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(weight)
    return layer
