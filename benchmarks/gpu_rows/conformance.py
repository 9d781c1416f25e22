"""A step of every energy, sampler, chains and loss on a device, compared with the CPU's.

In float64, on the energies and events of the conformance kit; and without waiting for the device.
"""

from __future__ import annotations

import copy
import inspect
import math
from contextlib import nullcontext
from typing import Any

import torch
from ebmcore_langevin import Langevin
from ebmcore_testing.report import SUITES, check_params
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

import ebmcore
from ebmcore.config import loss_slots
from ebmcore.sampling import as_chains
from gpu_rows.bench import Absent, Bench


def to(device: torch.device, parts: Any) -> Any:
    """Return tensors at any depth, and modules, on a device."""
    move = lambda p: p.to(device) if isinstance(p, Tensor) else p  # noqa: E731
    return (
        copy.deepcopy(parts).to(device) if isinstance(parts, nn.Module) else tree_map(move, parts)
    )


def difference(here: Any, there: Any) -> float:
    """Return the largest difference of float64 results, relative to 1 or to their size."""
    worst = 0.0
    for a, b in zip(tree_leaves(here), tree_leaves(there), strict=True):
        if not isinstance(a, Tensor) or b.is_meta:
            continue
        if a.is_floating_point():
            a, b = a.detach().cpu(), b.detach().cpu()
            gap = torch.where(a == b, 0.0, (a - b).abs()) / a.abs().clamp(min=1)
            worst = max(worst, float(gap.nan_to_num(math.inf).max()) if gap.numel() else 0.0)
        elif not torch.equal(a.cpu(), b.cpu()):
            return math.inf
    return worst


def an_energy(suite: Any, bench: Bench) -> float:
    """Compare the energies and their gradient."""
    worst = 0.0
    for energy, shape in suite.energies():
        if not isinstance(energy, nn.Module):
            raise Absent("it is no module, so it has no device")
        found = []
        for device in (torch.device("cpu"), bench.device):
            own, x = to(device, energy), suite.events(5, shape).to(device)
            x.requires_grad_(x.is_floating_point())
            with bench.forbid_waiting() if device == bench.device else nullcontext():
                values = suite.values(own, x) if suite.given("check_batch") else own(x)
                if values.requires_grad:
                    values.sum().backward()
            found.append((values, x.grad))
        worst = max(worst, difference(*found))
    return worst


def a_sampler(suite: Any, bench: Bench) -> float:
    """Compare one step with the same noise; then let it draw its own, without waiting."""
    energy, x = suite.moved()
    kernel = suite.sampler()
    if hasattr(kernel, "sample"):
        raise Absent("it has a loop of its own")
    state, noise = suite.begin(kernel, energy, x), kernel.noise(x, torch.Generator().manual_seed(1))
    own, other = to(bench.device, energy), suite.sampler(bench.device)
    begun = suite.begin(other, own, x.to(bench.device), bench.generator())
    drawn = "generator" in inspect.signature(type(kernel).init).parameters
    worst = 0.0 if drawn else difference(state, begun)
    there = other.step(own, to(bench.device, state), to(bench.device, noise))
    worst = max(worst, difference(kernel.step(energy, state, noise), there))
    generator = bench.generator()
    with bench.forbid_waiting():
        moved = begun
        for _ in range(3):
            moved, _ = other.step(own, moved, draw(other, moved.x, generator))
    return worst if moved.x.is_meta or bool(moved.x.isfinite().all()) else math.inf


def draw(kernel: Any, x: Tensor, generator: torch.Generator) -> Any:
    """Draw a kernel's noise; none can be drawn on the meta device by a generator."""
    if x.is_meta:
        return to(x.device, kernel.noise(torch.zeros(x.shape, dtype=x.dtype), generator))
    return kernel.noise(x, generator)


def some_chains(suite: Any, bench: Bench) -> float:
    """Start and keep chains on the device, the second time without waiting."""
    chains, x = as_chains(suite.build()), suite.batch().to(bench.device)
    generator = bench.generator()
    for again in (False, True):
        ends = ebmcore.Start(suite.ends(x.cpu() if not x.is_meta else torch.zeros(x.shape)).to(x))
        with bench.forbid_waiting() if again else nullcontext():
            begin = ebmcore.start_chains(chains, x, generator=generator)
            chains.keep(ends)
    return 0.0 if begin.x.device == x.device and begin.x.shape == x.shape else math.inf


def a_loss(suite: Any, bench: Bench) -> float:
    """Compare value and gradient, where the loss draws nothing; else they are finite."""
    energy, x, x_neg = suite.example()
    shape = tuple(x.shape[1:])
    rows = suite.rows(len(x), shape, seed=1)
    found = []
    for device in (torch.device("cpu"), bench.device):
        loss, own = suite.build(), to(device, energy)
        held = [loss, *vars(loss).values()]  # a loss may hold networks
        for module in (part for part in held if isinstance(part, nn.Module)):
            module.to(device)
        networks = {name: to(device, one) for name, one in suite.beside(shape).items()}
        labels, mask = torch.arange(len(x)) % 2, torch.ones(x.shape[:2], dtype=torch.bool)
        beside = {"y": labels, "y_neg": labels, "mask": mask, "mask_neg": mask, **rows}
        make = suite.declared("check_chains", of=loss)
        chains = make(x.to(device)) if make else as_chains(lambda x, generator: x.clone())
        slots = {
            **to(device, {**beside, "x": x, "x_neg": x_neg}), **networks,
            "energy": own, "generator": None, "step": 1, "networks": networks, "chains": chains,
            "sampler": ebmcore.Sampler(Langevin(0.01), 2),
        }  # fmt: skip
        named = loss_slots(loss, networks)
        drawn = "generator" in named
        with bench.forbid_waiting() if device == bench.device else nullcontext():
            result = loss(**{name: slots[name] for name in named})
            value = result[0] if isinstance(result, tuple) else result
            gradients = torch.autograd.grad(value, list(own.parameters()), allow_unused=True)
        found.append((value, [g for g in gradients if g is not None]))
    if not drawn or bench.device.type == "meta":
        return difference(*found)
    return 0.0 if all(bool(t.isfinite().all()) for t in tree_leaves(found[1])) else math.inf


CHECKS = {"energy": an_energy, "sampler": a_sampler, "chains": some_chains, "loss": a_loss}
TOLERANCE = 1e-8  # of float64


def conformance(bench: Bench) -> None:
    """Check every component that is there."""
    for component in ebmcore.Host.discover().components():
        check = CHECKS.get(component.kind)
        for params in check_params(component.load()) if check else ():

            def once(check: Any = check, component: Any = component, params: Any = params) -> Any:
                of = {"component": component.load(), "params": params}
                worst = check(type("Checked", (SUITES[component.kind],), of)(), bench)
                return {"difference": worst, "passed": worst <= TOLERANCE}

            of = {"kind": component.kind, "component": component.full_name, "params": str(params)}
            bench.row("conformance", 5, once, **of)
