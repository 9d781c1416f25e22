"""One step of a kernel as torch.compile runs it: one graph, or the reason why it isn't one."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ebmcore_testing.failures import CheckFailed, NotApplicable


def compiled_step(
    kernel: Any, energy: nn.Module, state: Any, noise: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Take a step in one graph, with noise that was drawn before; return the state's fields.

    Raises CheckFailed when it is no graph, NotApplicable when this torch can't trace a gradient.
    """
    import torch._dynamo

    settings = torch._dynamo.config
    if not hasattr(settings, "trace_autograd_ops"):  # before torch 2.13
        raise NotApplicable(f"torch {torch.__version__} can't compile a gradient as one graph")

    def step(state: Any, noise: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(kernel.step(energy, state, noise)[0])

    torch._dynamo.reset()
    run = torch.compile(step, fullgraph=True, backend="aot_eager")
    try:
        with settings.patch(trace_autograd_ops=True):
            return run(state, noise)
    except torch._dynamo.exc.TorchDynamoException as error:
        raise CheckFailed(
            "compiled",
            expected="a step that is one graph",
            measured=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}",
            allowed="no graph break",
            cause=".item(), a print, a branch on a tensor's value or a draw from a generator",
        ) from error
    finally:
        torch._dynamo.reset()
