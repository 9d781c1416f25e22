"""A dataset of a file, and parts to score its points; the core's tests load it as a plugin."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ebmcore import RowsInParts, Transform, dataset, energy, loss, transform


@dataset(name="table")
class Table:
    """The rows of a .npy file, of the columns age and dose.

    Args:
        path: The file.
        label: Whether its last column holds labels.
    """

    def __init__(self, *, path: Path, label: bool = False):
        self.path, self.label = path, label
        self.columns = self.ids = None

    def like(self, path):
        return Table(path=path, label=self.label)

    def __call__(self):
        return self.read_in_parts()

    def read_in_parts(self):
        rows = np.load(self.path, mmap_mode="r")
        self.columns = ("age", "dose")
        if Path(self.path).name == "named.npy":
            self.ids = [f"row, {i}" for i in range(len(rows))]
        if self.label:
            return Rows(rows[:, :2]), torch.from_numpy(rows[:, 2].astype(np.int64))
        return Rows(rows)


class Rows(RowsInParts):
    """Rows of an array."""

    def __init__(self, x):
        self.x = x
        self.shape = torch.Size(x.shape)
        self.dtype = self[:0].dtype

    def __getitem__(self, rows):
        return torch.from_numpy(np.array(self.x[rows]))


@transform(name="halved")
class Halved(Transform):
    """x / 2."""

    def __call__(self, x):
        return x / 2

    def inverse(self, x):
        return 2 * x

    def log_abs_det(self, x):
        return x.new_full((len(x),), -x[0].numel() * 0.6931471805599453)


@energy
class labelled(nn.Module):  # noqa: N801 (named as in a config)
    """E(x, y) = ½ Σ (w x - y)²."""

    def __init__(self, event_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(event_shape))

    def forward(self, x, y):
        return 0.5 * (self.weight * x - y[:, None]).square().sum(1)


@loss
def fits(energy, x, y):
    """Mean E(x, y)."""
    return energy(x, y=y).mean()
