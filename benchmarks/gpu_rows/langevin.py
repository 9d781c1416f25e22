"""µs a Langevin step on a device, each way to run it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import torch
from ebmcore_langevin import Langevin
from ebmcore_nets import MLP
from speed import plain
from torch import Tensor, nn

import ebmcore
from ebmcore.compile import chains as compiled_chains
from ebmcore.compile.graph import CUDA_GRAPHS
from gpu_rows.bench import Absent, Bench

STEPS = 20  # that are timed at once, as many as a compiled graph has
STEP_SIZE = 0.01


def langevin(bench: Bench) -> None:
    """Time Langevin steps of a net that isn't trained."""
    compiled = [way for way in WAYS if way.startswith("compiled") and not bench.quick]
    eager = [way for way in WAYS if not way.startswith("compiled")]
    for ways, needs in ((eager, 1 if bench.quick else 20), (compiled, 50)):
        for n, hidden, way in product(bench.chains, bench.nets, ways):
            once = partial(time_langevin, bench, hidden, n, way)
            bench.row("langevin", needs, once, hidden=hidden, chains=n, way=way)


def time_langevin(bench: Bench, hidden: tuple[int, ...], n: int, way: str) -> dict[str, Any]:
    """Return the seconds a Langevin step, and the most that its chains moved."""
    torch.manual_seed(0)
    energy = MLP((2,), hidden=hidden, activation="silu").to(bench.device).requires_grad_(False)
    x = torch.randn(n, 2, device=bench.device)
    walk = WAYS[way](bench, energy, x)
    found = bench.timed(walk, STEPS)
    spread = float((walk() - x).std())  # diffusion alone makes √(2 h steps)
    return {**found, "chain_steps_per_second": n / found["seconds"], "spread": spread}


def by_plain(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """The tutorial's loop."""
    return lambda: plain.langevin(energy, x, STEPS, STEP_SIZE)


def by_library(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Our kernel, eager."""
    kernel, generator = Langevin(STEP_SIZE), bench.generator()
    return lambda: ebmcore.sample_chain(
        kernel, energy, x, n_steps=STEPS, generator=generator, compile=False
    )


def by_autocast(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Our kernel, eager, the network in bfloat16."""
    walk = by_library(bench, energy, x)

    def cast() -> Tensor:
        with torch.autocast(bench.device.type, torch.bfloat16):
            return walk()

    return cast


def by_compiler(
    bench: Bench, energy: nn.Module, x: Tensor, *, graphs: bool = True
) -> Callable[[], Tensor]:
    """Our kernel, compiled; as a CUDA graph unless `graphs` is false."""
    compiled_chains._SECONDS = min(60.0, bench.left() / 2)
    kernel, generator = Langevin(STEP_SIZE), bench.generator()
    made = compiled_chains.CompiledKernel(kernel, energy, every=False, device=bench.device)
    made.graph._options[CUDA_GRAPHS] = bench.cuda and graphs

    def walk() -> Tensor:
        *_, (state, _) = made.run(kernel.init(energy, x), STEPS, generator)
        if made.why:
            raise Absent(made.why)
        end: Tensor = state.x
        return end

    return walk


def by_capture(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Our kernel, eager, captured as a CUDA graph; the noise is drawn before, into its memory."""
    if not bench.cuda:
        raise Absent("CUDA graphs need CUDA")
    kernel, generator = Langevin(STEP_SIZE), bench.generator()
    begin = x.clone()
    noise = torch.empty((STEPS, *x.shape), device=x.device)

    def steps() -> Tensor:
        state = kernel.init(energy, begin)
        for each in noise.unbind():
            state, _ = kernel.step(energy, state, (each,))
        return state.x

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            steps()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        end = steps()

    def walk() -> Tensor:
        noise.normal_(generator=generator)
        graph.replay()
        return end

    walk()
    if not torch.allclose(walk(), steps(), atol=1e-4):
        raise ValueError("a replay differs from the eager steps")
    return walk


def by_triton(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """The fused kernel with its own noise."""
    if not bench.cuda or find_spec("triton") is None:
        raise Absent("the fused kernel needs CUDA and Triton")
    from ebmcore_langevin.fused import FusedLangevin

    kernel, generator = FusedLangevin(STEP_SIZE), bench.generator()
    return lambda: ebmcore.sample_chain(
        kernel, energy, x, n_steps=STEPS, generator=generator, compile=False
    )


def by_torchebm(bench: Bench, energy: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Torchebm's sampler."""
    try:
        from speed.torchebm_side import Energy, LangevinDynamics
    except Exception as reason:
        raise Absent(str(reason)) from reason
    own = LangevinDynamics(Energy(energy), step_size=STEP_SIZE, noise_scale=1.0, device=x.device)
    return lambda: own.sample(x=x, n_steps=STEPS)


WAYS: dict[str, Callable[..., Callable[[], Tensor]]] = {
    "plain": by_plain,
    "torchebm": by_torchebm,
    "eager": by_library,
    "bf16": by_autocast,
    "captured": by_capture,
    "triton": by_triton,
    "compiled": by_compiler,
    "compiled, no graphs": partial(by_compiler, graphs=False),
}
