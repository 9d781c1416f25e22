"""A function as one compiled graph: traced by torch.compile without a graph break, or refused.

A call checks only the guards of state that may change while the objects stay the same: numbers,
flags, modes, and the shapes of arguments. It assumes types, code, parameters' shapes and the
absence of hooks, which makes a call cheap.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmcore.compile.compilers import compiler_names, headers_beside
from ebmcore.compile.dynamo_bypass import DirectCall
from ebmcore.compile.vector_isa import answer_vector_isa
from ebmcore.errors import GraphError

LONGEST = 25  # steps of a sampler in one graph; the time to compile it grows with them
SAMPLES_DIFFER = "compiled and eager samples differ; `step` uses hidden state"
LONG_STEP = "a step is one long loop (`long_step`), which takes minutes to compile; it runs eagerly"
CUDA_GRAPHS = "triton.cudagraphs"  # torch's option to replay the kernels of a graph in one launch
MOST_TRACES = 3  # of one graph; a function that changes more often runs eagerly

_FIXED = frozenset({
    "BUILTIN_MATCH", "CLASS_MATCH", "CLOSURE_MATCH", "DICT_NOT_CONTAINS", "DICT_KEYS_MATCH",
    "EMPTY_NN_MODULE_HOOKS_DICT", "FUNCTION_MATCH", "HASATTR", "MODULE_MATCH",
    "NOT_PRESENT_IN_GENERIC_DICT", "TYPE_MATCH",
})  # fmt: skip


class Limits(NamedTuple):
    """How a step is compiled; a resumed run repeats those of the run."""

    longest: int = LONGEST  # steps of the sampler in one graph
    seconds: float = math.inf  # that compiling may take
    given_up: frozenset[str] = frozenset()  # parts that it took too long for


def unavailable(device: torch.device) -> str | None:
    """Return why nothing can be compiled for a device, or None when it can."""
    import torch._dynamo.config as settings

    if device.type == "meta":
        return "nothing is computed on the meta device"
    if not hasattr(settings, "trace_autograd_ops"):
        return f"torch {torch.__version__} can't trace a gradient; 2.13 can"
    from torch._dynamo.eval_frame import is_dynamo_supported

    if not is_dynamo_supported():
        return f"torch {torch.__version__} can't compile under this Python"
    if device.type == "cpu" and not compiler_names():
        return "no C++ compiler was found; install g++ or clang, or set CXX"
    return None


def is_recurrent(energy: Any) -> bool:
    """Whether a network has recurrent layers, which a graph unrolls in time."""
    modules = energy.modules() if isinstance(energy, nn.Module) else ()
    return any(isinstance(module, nn.RNNBase) for module in modules)


class Graph:
    """A function of tensors, and of tuples and dicts of them, that runs as one graph.

    The first call traces it, which takes seconds; a later call traces it again when a guard fails;
    `traced` counts the traces. Any call raises GraphError when the function can't be traced or
    compiled; nothing has changed then, and `function` can be called instead.

    Args:
        function: A plain function, no method, that returns new tensors without gradients.
        device: The device of its tensors.
        backend: The backend of torch.compile: `inductor` compiles the trace; `aot_eager` runs it
            uncompiled, to find out in less time whether the function can be traced.
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
        self._options = {
            "fallback_random": True,
            "cpp_wrapper": device.type == "cpu",
            "cpp.threads": torch.get_num_threads(),
            CUDA_GRAPHS: device.type == "cuda",
        }
        self._run = self._make()
        self._direct: DirectCall | None = None
        self._compiled: Callable[..., Any] | None = None
        self._first: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None  # inputs and outputs

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns."""
        if self._direct is not None:
            result = self._direct(args)
            if result is not None:
                return result
            self._direct = None
        if self.traced:
            try:
                return self._run(*args)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception:  # a guard failed, and tracing needs its settings
                pass
        try:
            return self._trace(*args)
        except Exception as first:
            wrapped = self._options["cpp_wrapper"] or self._options[CUDA_GRAPHS]
            if not wrapped or _is_trace_error(first):
                raise GraphError(reason(first)) from first
        # some graphs compile only without the C++ wrapper, or can't be captured
        self._options |= {"cpp_wrapper": False, CUDA_GRAPHS: False}
        self._run = self._make()
        try:
            return self._trace(*args)
        except Exception as second:
            raise GraphError(reason(second)) from second

    def _make(self) -> Callable[..., Any]:
        """Wrap a copy of the function, whose traces are freed with it."""
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
            options={"guard_filter_fn": _kept_guards},
        )
        return compiled

    def _trace(self, *args: Any) -> Any:
        import torch._dynamo
        import torch._functorch.config

        settings = torch._dynamo.config.patch(
            trace_autograd_ops=True, allow_rnn=True, recompile_limit=MOST_TRACES
        )
        with settings, warnings.catch_warnings(), ExitStack() as stack:
            warnings.simplefilter("ignore")  # the eager step has shown them
            if self.backend == "inductor" and self._options["cpp_wrapper"]:
                answer_vector_isa()
                stack.enter_context(headers_beside(self._options))
            result = self._run(*args)
        self._direct = self._direct_call(args, result)
        return result

    def _direct_call(self, args: tuple[Any, ...], result: Any) -> DirectCall | None:
        """Return a direct call of the graph, if this version of torch allows one."""
        if self.traced != 1 or self._first is None or self._compiled is None:
            return None
        try:
            return DirectCall(self._own, args, *self._first, result, self._compiled)
        except (LookupError, ImportError, AttributeError, TypeError):
            return None
        finally:
            self._first = None  # free its tensors

    def _compile(self, graph: Any, inputs: Sequence[Any], **kwargs: Any) -> Any:
        self.traced += 1
        if self.backend != "inductor":
            from torch._dynamo.backends.registry import lookup_backend

            return lookup_backend(self.backend)(graph, list(inputs))
        from torch._inductor.compile_fx import compile_fx

        from ebmcore.compile.passes import CpuRewrites

        options = {**self._options, "post_grad_custom_pre_pass": CpuRewrites()}
        autocast = torch.amp.autocast_mode._enter_autocast
        if any(node.target is autocast for node in graph.graph.nodes):
            options["emulate_precision_casts"] = True  # rounds where the eager step does
        compiled: Any = compile_fx(graph, list(inputs), config_patches=options)
        if self._options[CUDA_GRAPHS]:
            compiled = copying(compiled)
        self._compiled = compiled

        def call(*given: Any) -> Any:
            outputs = compiled(*given)
            if self.traced == 1 and self._direct is None:
                self._first = (given, tuple(outputs))
            return outputs

        return call


def copying(graph: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """Return a graph whose outputs are copies: a CUDA graph writes to the same memory each time.

    Its inputs, such as the noise, are copied into memory of its own by torch.
    """

    def call(*given: Any) -> list[Any]:
        return [out.clone() if isinstance(out, Tensor) else out for out in graph(*given)]

    return call


def nearly_equal(found: Tensor, expected: Tensor) -> bool:
    """Whether nine rows of ten agree but for rounding.

    A row may differ where rounding changes a decision, such as an acceptance. Shapes: (rows, ...),
    or numbers, ().
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.ndim == 0:
        found, expected = found[None], expected[None]
    tolerance = 1e-3 if found.dtype != torch.float64 else 1e-6
    close = torch.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    share = close.flatten(1).all(1) if close.ndim > 1 else close
    return bool(share.double().mean() >= 0.9)


def results_agree(found: Any, expected: Any) -> bool:
    """Whether two nested results agree."""
    if isinstance(expected, Tensor):
        return isinstance(found, Tensor) and nearly_equal(found, expected)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            results_agree(found[k], expected[k]) for k in found
        )
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=True)
        return len(found) == len(expected) and all(results_agree(a, b) for a, b in pairs)
    return bool(found == expected)


def reason(error: BaseException) -> str:
    """Return the useful part of a compiler's message, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    explanation = next((x for x in lines if x.startswith("Explanation:")), "")
    text = f"{lines[0]}: {explanation.removeprefix('Explanation:').strip()}".rstrip(": ")
    places = [line for line in lines if line.startswith("File ") and "/torch/" not in line]
    where = f" ({places[-1]})" if places else ""
    return f"{type(error).__name__}: {text:.300}{where}"


def _is_trace_error(error: Exception) -> bool:
    """Whether the error came from tracing the function, not from compiling its graph."""
    import torch._dynamo.exc as errors

    backend = isinstance(error, errors.BackendCompilerFailed | errors.TorchRuntimeError)
    return isinstance(error, errors.TorchDynamoException) and not backend


def _kept_guards(entries: Sequence[Any]) -> list[bool]:
    return [
        entry.guard_type not in _FIXED
        and not (entry.guard_type == "TENSOR_MATCH" and isinstance(entry.value, nn.Parameter))
        for entry in entries
    ]
