"""The networks of the work in JAX: energies of a list of parameters, in the order of the work.

Images are laid out channels last. A recurrent layer multiplies all its inputs by their weights at
once, and scans over the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax import lax, nn
from jax import numpy as jnp

from speed import work as given
from speed.work import Array, Work

_IMAGES = ("NHWC", "HWIO", "NHWC")


def energy(work: Work, params: list[Any], x: Any) -> Any:
    """Return the energy of each event, (batch, *event) -> (batch,)."""
    of_network = {"lstm": _lstm, "transformer": _transformer, "rbm": _rbm}
    return of_network.get(work.network, _layers)(work, params, x)


def arrays(work: Work, seed: int) -> list[Any]:
    """Return the parameters; those of convolutions, and the head's columns, channels last."""
    found = given.weights(work, seed)
    if work.network == "conv":
        found = _channels_last(found, work.hidden[-1])
    return [jnp.asarray(array) for array in found]


def gibbs(params: list[Any], x: Any, uniform: tuple[Any, Any]) -> Any:
    """Draw the hidden bits of an RBM and then the visible ones, for each of the uniform numbers."""
    weight, visible, hidden = params

    def step(v: Any, u: tuple[Any, Any]) -> tuple[Any, None]:
        h = (u[0] < nn.sigmoid(v @ weight.T + hidden)).astype(v.dtype)
        return (u[1] < nn.sigmoid(h @ weight + visible)).astype(v.dtype), None

    return lax.scan(step, x.reshape(len(x), -1), uniform)[0].reshape(x.shape)


def _layers(work: Work, params: list[Any], x: Any) -> Any:
    h = x[..., None] if work.network == "conv" else x
    for i in range(0, len(params), 2):
        weight, bias = params[i], params[i + 1]
        if weight.ndim == 4:
            stride = (2, 2) if i else (1, 1)
            h = lax.conv_general_dilated(
                h, weight, stride, ((1, 1), (1, 1)), dimension_numbers=_IMAGES
            )
            h = h + bias
        else:
            h = h.reshape(len(h), -1) @ weight.T + bias
        if i + 2 < len(params):
            h = nn.leaky_relu(h, 0.2) if work.leaky else nn.silu(h)
    return h[:, 0]


def _lstm(work: Work, params: list[Any], x: Any) -> Any:
    parameters = iter(params)
    steps = x.T[..., None]  # (T, batch, 1)
    for width in work.hidden:
        of_input, of_state, first, second = (next(parameters) for _ in range(4))

        def step(state: Any, given: Any, of_state: Any = of_state) -> tuple[Any, Any]:
            h, c = state
            i, f, g, o = jnp.split(given + h @ of_state.T, 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            h = nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((len(x), width), x.dtype)
        (last, _), steps = lax.scan(step, (zeros, zeros), steps @ of_input.T + (first + second))
    h = nn.silu(_linear(parameters, last))
    return _linear(parameters, h)[:, 0]


def _transformer(work: Work, params: list[Any], x: Any) -> Any:
    parameters, heads = iter(params), given.TRANSFORMER_HEADS
    h = _linear(parameters, x[..., None]) + given.positions(work)
    batch, steps, width = h.shape
    for _ in work.hidden:
        split = _linear(parameters, _norm(parameters, h)).reshape(batch, steps, 3, heads, -1)
        query, key, value = (split[:, :, i] for i in range(3))
        attended = jax.nn.dot_product_attention(
            query, key, value, scale=1 / math.sqrt(width / heads)
        )
        h = h + _linear(parameters, attended.reshape(batch, steps, width))
        wide = nn.gelu(_linear(parameters, _norm(parameters, h)), approximate=False)
        h = h + _linear(parameters, wide)
    return _linear(parameters, _norm(parameters, h).mean(1))[:, 0]


def _rbm(work: Work, params: list[Any], x: Any) -> Any:
    weight, visible, hidden = params
    v = x.reshape(len(x), -1)
    return -(v @ visible) - nn.softplus(v @ weight.T + hidden).sum(1)


def _linear(parameters: Iterator[Any], h: Any) -> Any:
    weight, bias = next(parameters), next(parameters)
    return h @ weight.T + bias


def _norm(parameters: Iterator[Any], h: Any) -> Any:
    gain, shift = next(parameters), next(parameters)
    return nn.standardize(h, epsilon=1e-5) * gain + shift


def _channels_last(arrays: list[Array], channels: int) -> list[Array]:
    """Turn torch's weights (out, in, height, width), and the columns of the last layer."""
    found = [array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for array in arrays]
    found[-2] = arrays[-2].reshape(1, channels, -1).transpose(0, 2, 1).reshape(1, -1)
    return found
