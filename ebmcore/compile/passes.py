"""Two rewrites of a traced graph for a CPU: narrow products as sums, and shared sigmoids.

A matrix product with a side of one to four, such as one with points in the plane or an energy's
last layer, spends most of its time on the call of BLAS; as sums it is fused with the operations
around it. SiLU and its derivative share one sigmoid, where torch's decompositions have two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch.fx import Graph, Node

_NARROW = 4  # rows or columns; more are better left to BLAS
_aten = torch.ops.aten


class CpuRewrites(CustomGraphPass):
    """Rewrites a graph in place; its results are the same but for rounding."""

    def uuid(self) -> Any:
        """Return the version of these rewrites, for torch's cache of compiled graphs."""
        return get_hash_for_files((__file__,))

    def __call__(self, graph: Graph) -> None:
        """Rewrite all products and sigmoids of a graph."""
        GraphRewrite(graph).apply()


class GraphRewrite:
    """The rewrite of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.by_rows: dict[Node, Node] = {}  # transposed weights, copied once

    def apply(self) -> None:
        """Rewrite every narrow product and every repeated sigmoid."""
        for node in list(self.graph.nodes):
            if node.target in (_aten.mm.default, _aten.addmm.default):
                with self.graph.inserting_before(node):
                    found = self.product(node)
                if found is not None:
                    node.replace_all_uses_with(found)
        self.share_sigmoids()
        self.graph.eliminate_dead_code()

    def product(self, node: Node) -> Node | None:
        """Return a narrow product as sums, or None when it is left as it is."""
        *bias, a, b = node.args
        scaled = any(node.kwargs.get(name, 1) != 1 for name in ("alpha", "beta"))
        rounds = _value(a).dtype not in (torch.float32, torch.float64)  # a sum otherwise than BLAS
        if scaled or rounds or _value(a).device.type != "cpu":
            return None
        (rows, inner), columns = _value(a).shape, _value(b).shape[1]
        if inner <= _NARROW:
            terms = self._outer(a, self._by_rows(b), inner)
            return self._sum([*bias, *terms])
        if columns <= _NARROW:
            found = self._rows_times(a, self._by_rows(self._call(_aten.permute.default, b, [1, 0])))
        elif rows <= _NARROW:
            found = self._columns_times(a, b)
        else:
            return None
        return self._sum([*bias, found])

    def share_sigmoids(self) -> None:
        """Write x / (1 + exp(-x)) as x sigmoid(x), and keep one sigmoid of each x."""
        known: dict[Any, Node] = {}
        for node in list(self.graph.nodes):
            x = _silu_of(node)
            if x is not None:
                with self.graph.inserting_before(node):
                    if x not in known:
                        known[x] = self._call(_aten.sigmoid.default, x)
                    found = self._call(_aten.mul.Tensor, x, known[x])
                node.replace_all_uses_with(found)
            elif node.target is _aten.sigmoid.default:
                first = known.setdefault(node.args[0], node)
                if first is not node:
                    node.replace_all_uses_with(first)

    def _outer(self, a: Any, b: Any, inner: int) -> Iterator[Node]:
        """Yield the products of column k of a, (rows, 1), and row k of b, (1, columns)."""
        for k in range(inner):
            column = self._call(_aten.slice.Tensor, a, 1, k, k + 1)
            yield self._call(
                _aten.mul.Tensor, column, self._call(_aten.slice.Tensor, b, 0, k, k + 1)
            )

    def _rows_times(self, a: Any, across: Any) -> Node:
        """Return a times a few columns, given as rows: (columns, inner)."""
        found = []
        for k in range(_value(across).shape[0]):
            row = self._call(_aten.slice.Tensor, across, 0, k, k + 1)
            product = self._call(_aten.mul.Tensor, a, row)
            found.append(self._call(_aten.sum.dim_IntList, product, [1], True))
        return found[0] if len(found) == 1 else self._call(_aten.cat.default, found, 1)

    def _columns_times(self, a: Any, b: Any) -> Node:
        """Return the few rows of a times b."""
        upright = self._call(_aten.permute.default, a, [1, 0])
        found = []
        for k in range(_value(a).shape[0]):
            column = self._call(_aten.slice.Tensor, upright, 1, k, k + 1)
            product = self._call(_aten.mul.Tensor, b, column)
            found.append(self._call(_aten.sum.dim_IntList, product, [0], True))
        return found[0] if len(found) == 1 else self._call(_aten.cat.default, found, 0)

    def _sum(self, terms: list[Any]) -> Node:
        total: Node = terms[0]
        for term in terms[1:]:
            total = self._call(_aten.add.Tensor, total, term)
        return total

    def _by_rows(self, matrix: Any) -> Any:
        """Return a matrix in row-major layout; a column-major weight is copied once in the graph.

        Without `as_strided` the compiler would fuse the copy away and read by columns.
        """
        source = matrix
        while source.op == "call_function" and source.target is _aten.permute.default:
            source = source.args[0]
        if source.op != "placeholder" or _value(matrix).is_contiguous():
            return matrix
        if source not in self.by_rows:
            first = next(node for node in self.graph.nodes if node.op != "placeholder")
            with self.graph.inserting_before(first):
                upright = self._call(_aten.permute.default, source, [1, 0])
                copy = self._call(
                    _aten.clone.default, upright, memory_format=torch.contiguous_format
                )
                shape, stride = list(_value(copy).shape), list(_value(copy).stride())
                self.by_rows[source] = self._call(_aten.as_strided.default, copy, shape, stride)
        return self.by_rows[source]

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Node:
        """Add a call, with the shape of its result."""
        node = self.graph.call_function(function, args, kwargs)
        node.meta["val"] = function(*(_values(arg) for arg in args), **kwargs)
        return node


def _silu_of(node: Node) -> Node | None:
    """Return x when the node is x / (1 + exp(-x)), as torch writes SiLU."""
    if node.target is not _aten.div.Tensor:
        return None
    x, below = node.args
    if not isinstance(below, Node) or below.target is not _aten.add.Tensor or below.args[1] != 1:
        return None
    exp = below.args[0]
    if not isinstance(exp, Node) or exp.target is not _aten.exp.default:
        return None
    minus = exp.args[0]
    if not isinstance(minus, Node) or minus.target is not _aten.neg.default:
        return None
    return x if isinstance(x, Node) and minus.args[0] is x else None


def _value(node: Any) -> Tensor:
    found: Tensor = node.meta["val"]
    return found


def _values(arg: Any) -> Any:
    if isinstance(arg, Node):
        return _value(arg)
    return [_values(part) for part in arg] if isinstance(arg, list) else arg
