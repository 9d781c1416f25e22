"""Datasets that are read row by row, right and wrong; the core's tests load it as a plugin."""

import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from ebmcore import RowsInParts, dataset


def points(n):
    return torch.randint(0, 200, (n, 2), generator=torch.Generator().manual_seed(2))


@dataset(name="items")
class Items(Dataset):
    """Points in the plane, as a torch Dataset.

    Args:
        n: How many there are.
        draws: Whether each reading adds noise from every global generator.
        labels: Whether items are (x, y).
        fault: What is wrong with row 7.
        note: A folder where each process that reads leaves a file.
    """

    def __init__(
        self,
        *,
        n: int = 200,
        draws: bool = False,
        labels: bool = False,
        fault: str = "",
        note: str = "",
    ):
        self.x = points(n) / 100.0
        self.draws, self.labels, self.fault, self.note = draws, labels, fault, note
        self.reader = None

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        if self.note and self.reader != os.getpid():
            self.reader = os.getpid()
            (Path(self.note) / str(self.reader)).touch()
        x = self.x[row]
        if self.draws:
            x = x + 0.1 * torch.randn(2) + 0.1 * np.random.normal() + 0.1 * random.random()
            x = x.float()
        if row == 7 and self.fault:
            x = self.wrong(x)
        return (x, row % 3) if self.labels else x

    def wrong(self, x):
        if self.fault == "raises":
            raise OSError("the disk is gone")
        if self.fault == "dies":
            if get_worker_info() is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            return x
        return {"nan": x * float("nan")}[self.fault]


@dataset(name="rows")
class Rows:
    """The same points as bytes, as rows that are read in parts."""

    def __call__(self):
        return points(200).to(torch.uint8)

    def read_in_parts(self):
        return Bytes()


class Bytes(RowsInParts):
    def __init__(self):
        self.x = points(200).to(torch.uint8)
        self.shape, self.dtype = self.x.shape, self.x.dtype

    def __getitem__(self, rows):
        return self.x[rows]
