"""log Z of an energy that a grid alone doesn't resolve: boxes as fine as the grid, refined.

`cubature` integrates the blocks of the grid that hold mass, and those that a well lies in; the rest
count as the grid has them. Where a well lies outside the grid, it integrates the space around both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.likelihood.cubature import Boxes, Integral, Known, Sites, cubature, touch
from ebmcore_monitors.likelihood.hints import MOST, Hints, grid_minima, hints
from ebmcore_monitors.likelihood.wells import Wells, find_wells, is_far, sites_of
from ebmcore_monitors.points.grid import Grid

BLOCK = 6  # cells of the grid along a block: the rule's 7 points are as dense there
SEARCHES = 4  # for wells, one after another, each from MOST points
NEGLIGIBLE = 1e-5  # share of the mass of a well that isn't followed; tilted ones have more
OF_BLOCKS = 1e-5  # share of the mass of all blocks that count as the grid has them
MARGIN = 0.5  # share of the distance to a well outside that is integrated beyond it
WIDTHS = 16.0  # of a well that are integrated around it, at least
BUDGET = 2  # evaluations for each of the grid, at most
LEAST_BUDGET = {1: 2**16, 2: 2**18, 3: 2**20}  # by the number of dimensions

Function = Callable[[Tensor], Tensor]


class Refined(NamedTuple):
    """log Z, as the grid has it or refined."""

    log_z: float  # nats
    error: float  # share of Z by which it may be off
    doubts: tuple[str, ...] = ()  # why it may be off by more


def refine(
    energy: Function,
    like: Tensor,
    grid: Grid,
    on_grid: Tensor,
    log_mass: Tensor,
    error: float,
    x: Tensor,
    tolerance: float,
) -> Refined:
    """Look for wells that the grid doesn't see, and refine its log Z where it is needed.

    Shapes: on_grid, log_mass (size,), the energy and mass at each point, nats; x (k, dimensions),
    points where the model may have mass; like (m, *event). `error` is the grid's, as a share; one
    of more than `tolerance` is refined.
    """
    log_z = float(torch.logsumexp(log_mass, 0))
    start, known = hints(energy, grid, on_grid, x, like)
    wells, doubts = _followed(energy, like, start, log_z, grid)
    if not len(wells.x) and error <= tolerance:
        return Refined(log_z, error, doubts)
    wells = wells.joined(find_wells(energy, like, grid_minima(grid, on_grid), *grid.ends))
    most = max(log_z, float(torch.logsumexp(wells.log_mass, 0)))
    wells = wells.rows(wells.log_mass > most + math.log(NEGLIGIBLE))
    sites = sites_of(energy, like, wells)
    found = _integral(energy, like, grid, log_mass, sites, known, tolerance)
    if not found.reaches_sites:
        doubts += ("its wells are too thin for the evaluations allowed; raise `points`",)
    missed = 1 - math.exp(min(0.0, found.log_z - log_z))  # of what the grid has
    if missed <= error + found.error:
        missed = 0.0
    return Refined(found.log_z, max(found.error, missed), doubts)


def _followed(
    energy: Function, like: Tensor, start: Hints, log_z: float, grid: Grid
) -> tuple[Wells, tuple[str, ...]]:
    """Return the wells that hints lead to, if they hold mass, and why some may be missing."""
    wells = Wells(start.x[:0], start.x[:0, 0], start.x[:0])
    doubts: tuple[str, ...] = ()
    for _ in range(SEARCHES):
        more = find_wells(energy, like, start.rows(slice(MOST)), *grid.ends)
        far = is_far(more, *grid.ends)
        heavy = more.log_mass > log_z + math.log(NEGLIGIBLE)
        if bool((heavy & far).any()):
            doubts = (_falls(more.rows(heavy & far)),)
        wells = wells.joined(more.rows(heavy & ~far))
        start = start.rows(slice(MOST, None))
        if not len(start.x):
            break
        start = start.rows(~touch(Boxes(start.x, start.x), sites_of(energy, like, more)))
    if len(start.x):
        doubts += (
            f"E lies far below the grid's at {len(start.x)} known points more than could be "
            "followed to a well",
        )
    return wells, doubts


def _falls(wells: Wells) -> str:
    lowest = int(wells.energy.argmin())
    at = ", ".join(f"{value:.4g}" for value in wells.x[lowest].tolist())
    return (
        f"outside the grid the energy falls without end, to {float(wells.energy[lowest]):.4g} at "
        f"({at})"
    )


def _integral(
    energy: Function,
    like: Tensor,
    grid: Grid,
    log_mass: Tensor,
    sites: Sites,
    known: Known,
    tolerance: float,
) -> Integral:
    """Integrate exp(-E) over a grid's box and around the sites, to a share `tolerance`."""
    index = [_edges(len(axis)) for axis in grid.axes]
    edges = [axis[i] for axis, i in zip(grid.axes, index, strict=True)]
    low = torch.cartesian_prod(*[e[:-1] for e in edges]).reshape(-1, len(edges))
    high = torch.cartesian_prod(*[e[1:] for e in edges]).reshape(-1, len(edges))
    mass = _of_blocks(torch.softmax(log_mass, 0).reshape(grid.shape))
    held = _widened(mass > OF_BLOCKS / mass.numel()).flatten()
    boxes = Boxes(low, high)
    held |= touch(boxes, sites)
    rest = mass.flatten()[~held].sum().clamp(min=0.0)
    boxes = boxes.rows(held)
    around = _space_around(grid, sites)
    if around is not None:
        boxes = boxes.joined(around)
    budget = max(LEAST_BUDGET[len(edges)], BUDGET * grid.size)
    found = cubature(energy, like, boxes, sites, known, tolerance, budget)
    log_rest = float(torch.logsumexp(log_mass, 0) + rest.log())
    log_z = float(torch.logaddexp(*torch.tensor([found.log_z, log_rest], dtype=torch.float64)))
    return Integral(log_z, found.error + math.exp(min(0.0, log_rest - log_z)), found.reaches_sites)


def _edges(points: int) -> Tensor:
    """Return the numbers of the grid points where blocks end."""
    return torch.tensor([*range(0, points - 1, BLOCK), points - 1])


def _of_blocks(mass: Tensor) -> Tensor:
    """Add the mass of the points of each block; the last point of an axis counts to the last."""
    for axis, points in enumerate(mass.shape):
        block = (torch.arange(points) // BLOCK).clamp(max=len(_edges(points)) - 2)
        shape = list(mass.shape)
        shape[axis] = int(block[-1]) + 1
        mass = torch.zeros(shape, dtype=mass.dtype).index_add(axis, block, mass)
    return mass


def _widened(held: Tensor) -> Tensor:
    """Add the neighbours."""
    pool = getattr(torch.nn.functional, f"max_pool{held.ndim}d")
    near: Tensor = pool(held[None, None].double(), 3, stride=1, padding=1)[0, 0]
    return near > 0


def _space_around(grid: Grid, sites: Sites) -> Boxes | None:
    """Return the space between a grid's box and one that holds all sites; None if there is none."""
    low, high = grid.ends
    beyond = ((sites.centre < low) | (sites.centre > high)).any(1)
    if not bool(beyond.any()):
        return None
    centre, reach = sites.centre[beyond], WIDTHS / 4 * sites.reach[beyond]
    reach = torch.maximum(reach, MARGIN * (centre - (low + high) / 2).abs())
    ends = [torch.minimum(low, (centre - reach).amin(0)), low, high]
    ends.append(torch.maximum(high, (centre + reach).amax(0)))
    corners = []
    for cell in itertools.product(range(3), repeat=len(low)):
        if any(i != 1 for i in cell):
            corners.append([[float(ends[i + k][a]) for a, i in enumerate(cell)] for k in (0, 1)])
    both = torch.tensor(corners, dtype=torch.float64)
    boxes = Boxes(both[:, 0], both[:, 1])
    return boxes.rows((boxes.high > boxes.low).all(1))
