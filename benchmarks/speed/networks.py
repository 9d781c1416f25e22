"""The networks of the work in plain torch, from torch's own layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from speed import work as given
from speed.work import Array, Work


class Layers(nn.Module):
    """An MLP or a convolutional energy, (batch, *event) -> (batch,)."""

    def __init__(self, work: Work) -> None:
        super().__init__()

        def activation() -> nn.Module:
            return nn.LeakyReLU(0.2) if work.leaky else nn.SiLU()

        layers: list[nn.Module] = []
        for i, (shape, _) in enumerate(given.SHAPES[work.network](work)[::2]):
            outputs, inputs, *kernel = shape
            if kernel:
                layers += [nn.Conv2d(inputs, outputs, kernel[0], 2 if i else 1, 1), activation()]
                continue
            if work.network == "conv":
                layers.append(nn.Flatten())
            layers += [nn.Linear(inputs, outputs), activation()]
        self.layers = nn.Sequential(*layers[:-1])
        self.images = work.network == "conv"

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event."""
        x = x.unsqueeze(1) if self.images else x
        energies: Tensor = self.layers(x).squeeze(-1)
        return energies


class Recurrent(nn.Module):
    """An LSTM, and a head on the last layer's final state."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        (width, *_) = work.hidden
        self.lstm = nn.LSTM(1, width, len(work.hidden), batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, T) -> (batch,)."""
        _, (states, _) = self.lstm(x.unsqueeze(-1))
        energies: Tensor = self.head(states[-1]).squeeze(-1)
        return energies


class Attentive(nn.Module):
    """Torch's own transformer encoder, pre-norm, and the mean over the steps."""

    positions: Tensor

    def __init__(self, work: Work) -> None:
        super().__init__()
        (width, *_) = work.hidden
        self.embed = nn.Linear(1, width)
        self.register_buffer("positions", torch.from_numpy(given.positions(work)))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, given.TRANSFORMER_HEADS, 4 * width, dropout=0.0,
                    activation=nn.functional.gelu, batch_first=True, norm_first=True,
                )
                for _ in work.hidden
            )
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, T) -> (batch,)."""
        h = self.layers(self.embed(x.unsqueeze(-1)) + self.positions)
        energies: Tensor = self.head(self.norm(h).mean(1)).squeeze(-1)
        return energies

    def in_order(self) -> list[nn.Parameter]:
        """Return the parameters in the order of the work."""
        found = [*self.embed.parameters()]
        for layer in self.layers:
            parts = (layer.norm1, layer.self_attn, layer.norm2, layer.linear1, layer.linear2)
            found += [parameter for part in parts for parameter in part.parameters()]
        return [*found, *self.norm.parameters(), *self.head.parameters()]


class Boltzmann(nn.Module):
    """A restricted Boltzmann machine by its free energy, with its block Gibbs step."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        weight, visible, hidden = (shape for shape, _ in given.SHAPES["rbm"](work))
        self.weight = nn.Parameter(torch.zeros(weight))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Return the free energy of each event."""
        v = x.flatten(1)
        return -v @ self.visible_bias - softplus(linear(v, self.weight, self.hidden_bias)).sum(1)

    @torch.no_grad()
    def gibbs(self, x: Tensor, k: int) -> Tensor:
        """Draw the hidden bits and then the visible ones, k times."""
        v = x.flatten(1)
        for _ in range(k):
            h = torch.bernoulli(torch.sigmoid(linear(v, self.weight, self.hidden_bias)))
            v = torch.bernoulli(torch.sigmoid(linear(h, self.weight.t(), self.visible_bias)))
        return v.view_as(x)


NETWORKS = {
    "mlp": Layers,
    "conv": Layers,
    "lstm": Recurrent,
    "transformer": Attentive,
    "rbm": Boltzmann,
}


def network(work: Work, seed: int) -> nn.Module:
    """Make the network of the work, with its weights."""
    made = NETWORKS[work.network](work)
    own = made.in_order() if isinstance(made, Attentive) else list(made.parameters())
    fill(own, given.weights(work, seed))
    return made


def fill(parameters: list[nn.Parameter], arrays: list[Array]) -> None:
    """Give parameters the weights of the work."""
    with torch.no_grad():
        for parameter, array in zip(parameters, arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
