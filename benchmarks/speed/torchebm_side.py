"""torchebm with its own sampler, loss and replay buffer, in the training loop of its documentation.

Its extras are off, so that the work is the same: no fresh or disturbed chains, no penalty on the
energies, no warm-up of the buffer, which begins where the other sides' does. Batches come by index,
which is quicker than the DataLoader of its examples. Its buffer is a queue: a batch is drawn at
even distances and written over the oldest entries, not to where it came from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speed.plain import Plain
from speed.side import AbsentError
from speed.work import Array, Work

try:
    from torchebm.core import BaseModel
    from torchebm.losses import PersistentContrastiveDivergence
    from torchebm.samplers import LangevinDynamics
except ImportError as error:
    raise AbsentError(f"torchebm is not installed ({error})") from error


class Energy(BaseModel):
    """The network as torchebm's kind of model."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event."""
        energies: Tensor = self.network(x)
        return energies


class TorchEBM(Plain):
    """torchebm's parts; the batches are those of the plain loop."""

    def build(self, work: Work, seed: int) -> None:
        """Make torchebm's model, sampler and loss."""
        if work.network == "rbm":
            raise AbsentError("torchebm has no block Gibbs sampler")
        super().build(work, seed)
        self.model = Energy(self.model)
        self.sampler = LangevinDynamics(self.model, step_size=work.step_size, noise_scale=1.0)
        self.loss = PersistentContrastiveDivergence(
            model=self.model,
            sampler=self.sampler,
            k_steps=work.k,
            buffer_size=work.chains,
            init_steps=0,
            new_sample_ratio=0.0,
            energy_reg_weight=0.0,
        )
        self.loss.initialize_buffer(work.event_shape)
        self.loss.replay_buffer.copy_(self.buffer)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=work.lr)

    def step(self, x: Tensor) -> None:
        """Do one training step on a batch."""
        self.optimizer.zero_grad()
        loss, _ = self.loss(x)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def place(self, chains: Array) -> None:
        """Put the chains that `walk` moves."""
        self.x = torch.from_numpy(chains)

    def walk(self, steps: int) -> Tensor:
        """Move the chains on."""
        self.x = self.sampler.sample(x=self.x, n_steps=steps)
        return self.x
