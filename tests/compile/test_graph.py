"""Graphs of functions."""

import pytest
import torch

import ebmcore
from ebmcore.compile.graph import Graph, unavailable

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


def test_a_graph_says_in_a_line_why_it_is_none():
    graph = Graph(lambda x: x * (2 if x.sum().item() > 0 else 1), torch.device("cpu"))
    with pytest.raises(ebmcore.EbmError) as refused:
        graph(torch.ones(2))
    assert "\n" not in str(refused.value)
