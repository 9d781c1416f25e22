"""The whole loop in JAX: one jitted function of a block of steps, `lax.scan` over them, optax.adam.

Chains are chosen with repeats, as in the plain loop, and the noise of a training step is drawn in
one call. With convolutions, images are laid out channels last, the sampler's steps unrolled, and
the training steps called one by one: inside a loop of its own XLA's CPU backend takes four times as
long for them. XLA runs on one thread: `rounds.py` sets XLA_FLAGS and NPROC for the process.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from speed import work as given
from speed.side import AbsentError, Side
from speed.work import Array, Work

try:
    import jax
    import optax
    from jax import lax, random
    from jax import numpy as jnp

    from speed.jax_networks import arrays, energy, gibbs
except ImportError as error:
    raise AbsentError(f"JAX or optax is not installed ({error})") from error


def langevin(work: Work, params: list[Any], x: Any, noise: Any) -> Any:
    """Move chains on by one step for each of the noises, (steps, chains, *event)."""
    gradient = jax.grad(lambda at: energy(work, params, at).sum())
    scale = math.sqrt(2 * work.step_size)

    def step(x: Any, xi: Any) -> tuple[Any, None]:
        return x - work.step_size * gradient(x) + scale * xi, None

    return lax.scan(step, x, noise, unroll=work.network == "conv")[0]


def sample(work: Work, params: list[Any], x: Any, key: Any) -> Any:
    """Run the chains of a training step."""
    if work.network == "rbm":
        layers = (*work.hidden, math.prod(work.event_shape))
        keys = zip(random.split(key), layers, strict=True)
        hidden, visible = (random.uniform(own, (work.k, len(x), bits)) for own, bits in keys)
        return gibbs(params, x, (hidden, visible))
    return langevin(work, params, x, random.normal(key, (work.k, *x.shape)))


def step(work: Work, data: Any, state: Any, given: Any) -> tuple[Any, Any]:
    """Do one training step on the points of an index; return the state and the loss."""
    params, moments, buffer = state
    index, key = given
    choice_key, noise_key = random.split(key)
    chosen = random.randint(choice_key, (work.batch,), 0, work.chains)
    x_neg = sample(work, params, buffer[chosen], noise_key)

    def loss(params: list[Any]) -> Any:
        return energy(work, params, data[index]).mean() - energy(work, params, x_neg).mean()

    value, gradient = jax.value_and_grad(loss)(params)
    updates, moments = optax.adam(work.lr).update(gradient, moments)
    params = optax.apply_updates(params, updates)
    return (params, moments, buffer.at[chosen].set(x_neg)), value


def batches(work: Work, steps: int, data: Any, key: Any) -> tuple[Any, Any]:
    """Shuffle as often as need be; return the index and the key of each step."""
    per_epoch = len(data) // work.batch
    key, order_key = random.split(key)
    keys = random.split(order_key, -(-steps // per_epoch))
    orders = jax.vmap(lambda k: random.permutation(k, len(data)))(keys)
    index = orders[:, : per_epoch * work.batch].reshape(-1, work.batch)[:steps]
    return index, random.split(key, steps)


@partial(jax.jit, static_argnames=("work", "steps"))
def train(work: Work, steps: int, state: Any, data: Any, key: Any) -> tuple[Any, Any]:
    """Go on by a block of training steps; return the state and the losses."""
    return lax.scan(partial(step, work, data), state, batches(work, steps, data, key))


one_step = jax.jit(step, static_argnames=("work",))


@partial(jax.jit, static_argnames=("work", "steps"))
def walk(work: Work, steps: int, params: list[Any], x: Any, key: Any) -> Any:
    """Move chains on by a block of steps, the noise drawn on the way."""
    gradient = jax.grad(lambda at: energy(work, params, at).sum())
    scale = math.sqrt(2 * work.step_size)

    def step(x: Any, key: Any) -> tuple[Any, None]:
        noise = random.normal(key, x.shape)
        return x - work.step_size * gradient(x) + scale * noise, None

    return lax.scan(step, x, random.split(key, steps))[0]


class Jax(Side):
    """The whole loop as one compiled function."""

    def build(self, work: Work, seed: int) -> None:
        """Make the state of the loop."""
        self.work = work
        self.params = arrays(work, seed)
        moments = optax.adam(work.lr).init(self.params)
        self.state = (self.params, moments, jnp.asarray(given.chains(work, seed)))
        self.data = jnp.asarray(given.data(work, seed))
        self.key = random.key(seed)

    def train(self, steps: int) -> None:
        """Go on by so many training steps."""
        if self.work.network == "conv":
            for at in zip(*batches(self.work, steps, self.data, self._next()), strict=True):
                self.state, loss = one_step(self.work, self.data, self.state, at)
            np.asarray(loss)
            return
        self.state, losses = train(self.work, steps, self.state, self.data, self._next())
        np.asarray(losses)

    def energies(self, points: Array) -> Array:
        """Return the energy of each point."""
        return np.asarray(energy(self.work, self.state[0], jnp.asarray(points)))

    def place(self, chains: Array) -> None:
        """Put the chains that `walk` moves."""
        self.x = jnp.asarray(chains)

    def walk(self, steps: int) -> Any:
        """Move the chains on."""
        self.x = walk(self.work, steps, self.params, self.x, self._next())
        return self.x.block_until_ready()

    def _next(self) -> Any:
        self.key, key = random.split(self.key)
        return key
