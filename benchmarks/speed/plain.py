"""The loop as tutorials write it, in plain torch.

As in the UvA deep-learning course's tutorial 8 and the many loops like it: the network in
evaluation mode and its parameters frozen while chains run, a gradient with respect to x for each
step, a buffer of chains from which a random batch goes on, `loss.item()` kept for a plot. Batches
come by index from a tensor, which is quicker than the DataLoader that the tutorials use; `loader`
asks for that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from speed import work as given
from speed.networks import Boltzmann, network
from speed.side import Side
from speed.work import Array, Work


def langevin(model: nn.Module, x: Tensor, k: int, step_size: float) -> Tensor:
    """Move chains on by k steps of Langevin dynamics."""
    was_training = model.training
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    noise = math.sqrt(2 * step_size)
    x = x.detach().clone().requires_grad_(True)
    for _ in range(k):
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
        x = (x - step_size * gradient + noise * torch.randn_like(x)).detach().requires_grad_(True)
    for parameter in model.parameters():
        parameter.requires_grad = True
    model.train(was_training)
    return x.detach()


class Plain(Side):
    """The tutorial's loop."""

    def __init__(self, *, loader: bool = False) -> None:
        self.loader = loader

    def build(self, work: Work, seed: int) -> None:
        """Make everything that the loop uses."""
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.work = work
        self.model = network(work, seed)
        self.data = torch.from_numpy(given.data(work, seed))
        self.buffer = torch.from_numpy(given.chains(work, seed))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=work.lr)
        self.batches = self._loaded() if self.loader else self._indexed()
        self.losses: list[float] = []

    def train(self, steps: int) -> None:
        """Go on by so many training steps."""
        for _ in range(steps):
            self.step(next(self.batches))

    def step(self, x: Tensor) -> None:
        """Do one training step on a batch."""
        chosen = torch.randint(0, len(self.buffer), (len(x),))
        if isinstance(self.model, Boltzmann):
            x_neg = self.model.gibbs(self.buffer[chosen], self.work.k)
        else:
            x_neg = langevin(self.model, self.buffer[chosen], self.work.k, self.work.step_size)
        self.buffer[chosen] = x_neg
        loss = self.model(x).mean() - self.model(x_neg).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def energies(self, points: Array) -> Array:
        """Return the energy of each point."""
        with torch.no_grad():
            found: Array = self.model(torch.from_numpy(points)).numpy()
        return found

    def place(self, chains: Array) -> None:
        """Put the chains that `walk` moves."""
        self.x = torch.from_numpy(chains)

    def walk(self, steps: int) -> Tensor:
        """Move the chains on."""
        self.x = langevin(self.model, self.x, steps, self.work.step_size)
        return self.x

    def _indexed(self) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self.data))
            for start in range(0, len(order) - self.work.batch + 1, self.work.batch):
                yield self.data[order[start : start + self.work.batch]]

    def _loaded(self) -> Iterator[Tensor]:
        loader = DataLoader(
            TensorDataset(self.data), batch_size=self.work.batch, shuffle=True, drop_last=True
        )
        while True:
            for (x,) in loader:
                yield x
