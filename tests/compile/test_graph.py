"""Graphs of functions."""

import pytest
import torch

import ebmcore
from ebmcore.compile.graph import CUDA_GRAPHS, Graph, copying, unavailable

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


def test_a_graph_says_in_a_line_why_it_is_none():
    graph = Graph(lambda x: x * (2 if x.sum().item() > 0 else 1), torch.device("cpu"))
    with pytest.raises(ebmcore.EbmError) as refused:
        graph(torch.ones(2))
    assert "\n" not in str(refused.value)


def test_cuda_alone_replays_graphs_and_its_outputs_are_copies():
    for device in ("cpu", "cuda"):
        assert Graph(lambda x: x + 1, torch.device(device))._options[CUDA_GRAPHS] == (
            device == "cuda"
        )
    held = torch.zeros(2)  # the memory that a replay writes to

    def replay(x):
        return held.copy_(x), 3, None

    call = copying(replay)
    first, *rest = call(torch.ones(2))
    assert rest == [3, None]
    second, *_ = call(torch.full((2,), 5.0))
    assert (first.tolist(), second.tolist()) == ([1.0, 1.0], [5.0, 5.0])
