"""A function as one compiled graph: traced by torch.compile, without a break, or refused.

What a trace assumed is asked again at every call, but only what may change while the same objects
are used: numbers, switches, modes, shapes of what is passed. Types, code, the absence of hooks and
the parameters' shapes are taken for granted, which is what makes a call cheap.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore.compile.direct_call import Link
from ebmcore.errors import GraphError

LONGEST = 25  # steps of a sampler in one graph; the time to compile it grows with them
MOST_TRACES = 3  # of one graph; what changes more often than that is better left as it is

_FIXED = frozenset({
    "BUILTIN_MATCH", "CLASS_MATCH", "CLOSURE_MATCH", "DICT_NOT_CONTAINS", "DICT_KEYS_MATCH",
    "EMPTY_NN_MODULE_HOOKS_DICT", "FUNCTION_MATCH", "HASATTR", "MODULE_MATCH",
    "NOT_PRESENT_IN_GENERIC_DICT", "TYPE_MATCH",
})  # fmt: skip


def unavailable(device: torch.device) -> str | None:
    """Say why nothing can be compiled for a device here, or None when it can."""
    import torch._dynamo.config as settings

    if device.type == "meta":
        return "nothing is computed on the meta device"
    if not hasattr(settings, "trace_autograd_ops"):
        return f"torch {torch.__version__} can't trace a gradient; 2.13 can"
    from torch._dynamo.eval_frame import is_dynamo_supported

    if not is_dynamo_supported():
        return f"torch {torch.__version__} can't compile under this Python"
    if device.type == "cpu" and not _has_compiler():
        return "there is no C++ compiler here; install g++ or clang, or set CXX"
    return None


class Graph:
    """A function of tensors, and of tuples and dicts of them, that runs as one graph.

    It is traced when it is first called, which takes seconds, and again when what the trace
    assumed no longer holds; `traced` counts how often. Raises
    GraphError, at any call, when the function can't be traced or compiled; nothing has then been
    changed, and `function` can be called instead.

    Args:
        function: No method; it returns fresh tensors, none of which needs a gradient.
        device: Where its tensors are.
        backend: What becomes of the trace: `inductor` compiles it, `aot_eager` runs it as it is,
            no quicker than eagerly but at once, to try what can be traced.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        device: torch.device,
        *,
        backend: str = "inductor",
    ) -> None:
        self.function = function
        self.backend = backend
        self.traced = 0
        self._options = {"fallback_random": True, "cpp_wrapper": device.type == "cpu"}
        self._run = self._make()
        self._link: Link | None = None
        self._inner: Callable[..., Any] | None = None
        self._first: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None  # in and out

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns."""
        if self._link is not None:
            found = self._link(args)
            if found is not None:
                return found
            self._link = None
        if self.traced:
            try:
                return self._run(*args)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception:  # what was assumed has changed, and tracing needs its settings
                pass
        try:
            return self._trace(*args)
        except Exception as first:
            if not self._options["cpp_wrapper"] or _is_of_the_trace(first):
                raise GraphError(reason(first)) from first
        # not all that can be compiled can be called from C++
        self._options["cpp_wrapper"] = False
        self._run = self._make()
        try:
            return self._trace(*args)
        except Exception as second:
            raise GraphError(reason(second)) from second

    def _make(self) -> Callable[..., Any]:
        """Wrap a copy of the function: its traces are its own, and go when it goes."""
        function = self.function
        assert isinstance(function, FunctionType)
        code = function.__code__.replace()
        name, around = function.__name__, function.__closure__
        own = self._own = FunctionType(code, function.__globals__, name, None, around)
        compiled: Callable[..., Any] = torch.compile(
            own,
            fullgraph=True,
            dynamic=False,
            backend=self._compile,
            options={"guard_filter_fn": _worth_asking},
        )
        return compiled

    def _trace(self, *args: Any) -> Any:
        import torch._dynamo
        import torch._functorch.config

        settings = torch._dynamo.config.patch(
            trace_autograd_ops=True, allow_rnn=True, recompile_limit=MOST_TRACES
        )
        with settings, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they are about, eager calls have told
            result = self._run(*args)
        self._link = self._linked(args, result)
        return result

    def _linked(self, args: tuple[Any, ...], result: Any) -> Link | None:
        """Return a shorter way to call the graph, if this torch has one and nothing is in it."""
        if self.traced != 1 or self._first is None or self._inner is None:
            return None
        try:
            return Link(self._own, args, *self._first, result, self._inner)
        except (LookupError, ImportError, AttributeError, TypeError):
            return None
        finally:
            self._first = None  # it holds what came and went

    def _compile(self, graph: Any, inputs: Sequence[Any], **kwargs: Any) -> Any:
        self.traced += 1
        if self.backend != "inductor":
            from torch._dynamo.backends.registry import lookup_backend

            return lookup_backend(self.backend)(graph, list(inputs))
        from torch._inductor.compile_fx import compile_fx

        from ebmcore.compile.passes import Narrow

        options = {
            **self._options,
            "cpp.threads": torch.get_num_threads(),
            "post_grad_custom_pre_pass": Narrow(),
        }
        inner: Any = compile_fx(graph, list(inputs), config_patches=options)
        self._inner = inner

        def call(*given: Any) -> Any:
            found = inner(*given)
            if self.traced == 1 and self._link is None:
                self._first = (given, tuple(found))
            return found

        return call


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether two ways to compute the same rows agree, but for rounding and a few rows.

    A row may differ where a step chooses, as in an acceptance that rounding tips over. Shapes:
    (rows, ...), or numbers, ().
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.ndim == 0:
        found, expected = found[None], expected[None]
    tolerance = 1e-3 if found.dtype != torch.float64 else 1e-6
    close = torch.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    share = close.flatten(1).all(1) if close.ndim > 1 else close
    return bool(share.double().mean() >= 0.9)


def reason(error: BaseException) -> str:
    """Return the part of a compiler's message that a person can use, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    explanation = next((x for x in lines if x.startswith("Explanation:")), "")
    text = f"{lines[0]}: {explanation.removeprefix('Explanation:').strip()}".rstrip(": ")
    places = [line for line in lines if line.startswith("File ") and "/torch/" not in line]
    where = f" ({places[-1]})" if places else ""
    return f"{type(error).__name__}: {text:.300}{where}"


def _is_of_the_trace(error: Exception) -> bool:
    """Whether it was the function that can't be traced, rather than its graph compiled."""
    import torch._dynamo.exc as errors

    backend = isinstance(error, errors.BackendCompilerFailed | errors.TorchRuntimeError)
    return isinstance(error, errors.TorchDynamoException) and not backend


def _worth_asking(entries: Sequence[Any]) -> list[bool]:
    return [
        entry.guard_type not in _FIXED
        and not (entry.guard_type == "TENSOR_MATCH" and isinstance(entry.value, nn.Parameter))
        for entry in entries
    ]


def _has_compiler() -> bool:
    from torch._inductor import config

    found = config.cpp.cxx
    names = found if isinstance(found, list | tuple) else (found,)
    return any(name and shutil.which(name) for name in (*names, "g++", "clang++"))
