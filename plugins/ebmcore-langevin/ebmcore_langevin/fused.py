"""`langevin` with its update and its noise in one Triton kernel: x' = x + η s + √(2ηT) ξ.

The eager update reads and writes the chains four times, with the noise; this one reads x and the
score, draws ξ where it stands, and writes x'. ξ comes from Philox, a counter-based generator: its
numbers depend on a seed and on the place of each number alone.
Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Generator, Tensor

from ebmcore import Energy, PositiveFloat, energy_and_score
from ebmcore_langevin.kernels import Langevin, LangevinInfo, LangevinState

_BLOCK = 1024  # numbers that a program of the kernel moves


@triton.jit  # type: ignore[untyped-decorator] # Triton has no types
def _update(  # type: ignore[no-untyped-def] # it reads its arguments' types at the call
    x, score, end, noise, seed, step_size, spread, n, given: tl.constexpr, block: tl.constexpr
):
    """Move `block` numbers, with noise that is given or drawn."""
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < n
    if given:  # noqa: SIM108 (Triton compiles the branch that it takes)
        xi = tl.load(noise + at, mask=inside)
    else:
        xi = tl.randn(tl.load(seed), at.to(tl.uint32))
    moved = tl.load(x + at, mask=inside) + step_size * tl.load(score + at, mask=inside)
    tl.store(end + at, moved + spread * xi, mask=inside)


def fused_update(
    x: Tensor,
    score: Tensor,
    *,
    step_size: float,
    spread: float,
    seed: Tensor | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """Return x + step_size·score + spread·ξ, ξ ~ N(0, I) drawn from the seed, or given.

    Shapes: x, score and noise (chains, *event), float32; seed (1,), int64, on the device of x.
    Raises ValueError for other dtypes and shapes, for both or neither of seed and noise, and for
    more than 2³² numbers, which the generator's counter can't tell apart.
    """
    if (seed is None) == (noise is None):
        raise ValueError("fused_update takes either a seed or the noise")
    for name, part in (("x", x), ("score", score), ("noise", noise)):
        if part is not None and (part.shape != x.shape or part.dtype != torch.float32):
            raise ValueError(
                f"{name} should be float32, of shape {tuple(x.shape)}; got {part.dtype}, "
                f"{tuple(part.shape)}"
            )
    if x.numel() >= 2**32:
        raise ValueError(f"the chains hold {x.numel()} numbers; 2**32 - 1 are the most")
    x, score = x.contiguous(), score.contiguous()
    end = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), _BLOCK),)
    source: Any = x if noise is None else noise.contiguous()
    _update[grid](
        x, score, end, source, x if seed is None else seed, step_size, spread, x.numel(),
        given=noise is not None, block=_BLOCK,
    )  # fmt: skip
    return end


class FusedLangevin(Langevin):
    """`langevin` with a fixed step on float32 chains of a GPU, its update in one Triton kernel.

    Its noise is a seed for each step, drawn from the generator, so that its numbers are others than
    those of `langevin`, of the same law. It needs Triton, as `pip install ebmcore-langevin[triton]`
    brings it, and isn't offered to configs.

    Args:
        step_size: η, in squared units of x for each nat.
        temperature: T; 1 samples exp(-E).
    """

    takes_step_size = False

    def __init__(self, step_size: PositiveFloat = 0.01, *, temperature: float = 1.0) -> None:
        super().__init__(step_size, temperature=temperature)
        self.spread = math.sqrt(2 * step_size * temperature)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        """Draw the seed of a step, (1,), int64."""
        return (torch.randint(2**63 - 1, (1,), generator=generator, device=x.device),)

    def step(
        self, energy: Energy, state: Any, noise: tuple[Tensor, ...]
    ) -> tuple[LangevinState, LangevinInfo]:
        """Take one step."""
        values, score = energy_and_score(energy, state.x)
        size = float(self.step_size)  # a number, which no run changes
        norm: Tensor = torch.linalg.vector_norm(score.flatten(1), dim=1)
        ratio = norm * (self._ratio(state.x) * math.sqrt(size))
        x = fused_update(state.x, score, step_size=size, spread=self.spread, seed=noise[0])
        return LangevinState(x), LangevinInfo(values, norm, ratio)
