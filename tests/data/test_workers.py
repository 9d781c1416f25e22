"""Worker processes: they read in order, leave signals to the run, and end with it."""

import multiprocessing
import os
import signal
from contextlib import closing

import numpy as np
import torch
from torch.utils.data import Dataset

from ebmcore import Real
from ebmcore.config import Loader
from ebmcore.data.row_reader import RowReader
from ebmcore.data.workers import Key, Workers


class Readers(Dataset):
    """Rows that say which process reads them."""

    def __len__(self):
        return 40

    def __getitem__(self, row):
        return torch.tensor([row, os.getpid()])


def test_workers_read_in_order_whatever_signals_they_get():
    handler, state = signal.getsignal(signal.SIGCHLD), torch.get_rng_state()
    read = RowReader(Readers(), seed=0, space=Real(), dtype=torch.float64)
    workers = Workers(read, Loader(workers=2, prefetch=1))
    keys = [Key(f"step {i}", np.arange(4 * i, 4 * i + 4)) for i in range(10)]
    with closing(workers):
        found = []
        for rows in workers(keys):
            if not found:
                children = multiprocessing.active_children()
                for child in children:
                    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                        os.kill(child.pid, number)
            found.append(rows.x)
        numbers, readers = torch.cat(found).unbind(1)
        assert numbers.tolist() == list(range(40))
        assert set(readers.tolist()) == {child.pid for child in children}
        assert len(children) == 2
        again = [rows.x[0, 1].item() for rows in workers(keys[:2])]  # the next epoch
        assert set(again) == set(readers.tolist())
        half = workers(keys)
        next(half)
    assert not multiprocessing.active_children()
    assert signal.getsignal(signal.SIGCHLD) is handler
    assert torch.equal(torch.get_rng_state(), state)
