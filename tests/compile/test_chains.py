"""Chains in compiled blocks go where single steps lead them, at any length."""

import pytest
import torch

import ebmcore
from ebmcore.compile import chains as blocks
from ebmcore.compile.chains import STEPS_PER_GRAPH, CompiledKernel, compiling_pays
from ebmcore.compile.graph import unavailable
from ebmcore.sampling import Walk
from support import MORE
from support import compile_parts as made

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)
close = torch.testing.assert_close


def seeded():
    return torch.Generator().manual_seed(3)


def bowl(x):
    return 0.5 * x.square().sum(1)


def blocks_of(kernel, energy=bowl, *, every=False):
    return CompiledKernel(
        kernel, energy, every=every, device=torch.device("cpu"), backend="aot_eager"
    )


def test_walks_of_any_length_share_a_graph():
    blocks = blocks_of(made.Ula())
    for n_steps in (3, 10, 27):
        x, one, other = torch.randn(5, 2, generator=seeded()), seeded(), seeded()
        found = Walk(made.Ula(), bowl, x, one, blocks, n_steps=n_steps).go(n_steps)
        expected = Walk(made.Ula(), bowl, x, other, n_steps=n_steps).go(n_steps)
        close(found.x, expected.x)
        close(found.info, expected.info)
        assert torch.equal(one.get_state(), other.get_state())
        assert blocks.graph.traced == (n_steps >= STEPS_PER_GRAPH)
    walk = Walk(made.Ula(), bowl, torch.zeros(5, 2), seeded(), blocks, n_steps=1)
    for n_steps in (12, 31, 10):
        walk.go(n_steps)
    assert blocks.graph.traced == 1


def test_a_kernel_of_long_steps_has_fewer_in_a_graph():
    kernel = made.Ula()
    assert blocks_of(kernel).size == STEPS_PER_GRAPH
    kernel.steps_per_graph = 2
    assert blocks_of(kernel).size == 2
    kernel.steps_per_graph = 1000
    assert blocks_of(kernel).size == STEPS_PER_GRAPH


def test_a_trace_holds_the_same_states():
    x, every = torch.randn(5, 2, generator=seeded()), blocks_of(made.Ula(), every=True)
    for thin in (1, 7, 25):
        walks = [Walk(made.Ula(), bowl, x, seeded(), blocks, n_steps=1) for blocks in (None, every)]
        expected, found = (walk.trace(33, thin) for walk in walks)
        close(found.x, expected.x)
        close(found.info, expected.info)
        close(walks[1].x, walks[0].x)


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (made.Breaks(), "data-dependent"),
        (made.Peeks(), "samples differ"),
        (made.Long(), "minutes to compile"),
    ],
)
def test_what_cannot_be_a_block_is_walked_step_by_step(kernel, why):
    x, one, other = torch.randn(5, 2, generator=seeded()), seeded(), seeded()
    blocks = blocks_of(kernel)
    found = Walk(kernel, bowl, x, one, blocks, n_steps=25).go(25)
    close(found.x, Walk(kernel, bowl, x, other, n_steps=25).go(25).x)
    assert torch.equal(one.get_state(), other.get_state())
    assert why in blocks.why


def test_asked_for_in_vain_it_warns():
    with pytest.warns(RuntimeWarning, match="not compiled: it runs its steps in its own `sample`"):
        ebmcore.sample_chain(made.Own(), bowl, torch.zeros(4, 2), n_steps=3, compile=True)


def test_auto_goes_by_the_number_of_steps():
    assert not compiling_pays(made.Ula(), 10_000)
    assert compiling_pays(made.Ula(), 100_000)
    assert not compiling_pays(made.Own(), 10**9)


@pytest.mark.slow
def test_compiled_chains_match_single_steps_and_keep_their_law():
    """ULA's stationary variance on N(0, I) is 1 / (1 - h/2); 5 standard errors: 6e-7 false alarms.

    The chains begin in that law, so any number of steps must keep them there.
    """
    h, chains = 0.3, 20_000
    energy, kernel = made.Bowl(), made.Ula(h)
    with torch.no_grad():
        energy.outer.weight.zero_()
    variance = 1 / (1 - h / 2)
    x = torch.randn(chains, 2, generator=seeded()) * variance**0.5
    lengths = {"n_steps": 60, "burn_in": 14, "thin": 20, "trace": True}
    end, trace = ebmcore.sample_chain(
        kernel, energy, x, generator=seeded(), compile=True, **lengths
    )
    expected = ebmcore.sample_chain(kernel, energy, x, n_steps=74, generator=seeded())
    close(end, expected, atol=1e-4, rtol=0)
    assert trace.x.shape == (3, chains, 2)
    stderr = variance * (2 / (2 * chains - 1)) ** 0.5
    for states in (*trace.x, end):
        assert abs(states.var().item() - variance) < 5 * stderr


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("name", ["MALA", "Langevin", "HMC"] if MORE else ["MALA"])
def test_our_own_kernels_fit_in_blocks(name):
    hmc, langevin = (pytest.importorskip(f"ebmcore_{n}") for n in ("hmc", "langevin"))
    kernel = hmc.HMC(leapfrog=2) if name == "HMC" else getattr(langevin, name)(step_size=0.1)
    x = torch.randn(6, 2, generator=seeded())
    blocks = blocks_of(kernel, made.Bowl())
    found = Walk(kernel, blocks.energy, x, seeded(), blocks, n_steps=21).go(21)
    expected = Walk(kernel, blocks.energy, x, seeded(), n_steps=21).go(21)
    close(found.x, expected.x)
    close(found.info, expected.info)
    assert blocks.why == ""


def test_blocks_made_lately_are_taken_again():
    kernel, other = object(), object()
    cpu = torch.device("cpu")
    one = blocks.compiled_kernel(kernel, bowl, every=False, device=cpu)
    traced = blocks.compiled_kernel(kernel, bowl, every=True, device=cpu)
    assert blocks.compiled_kernel(kernel, bowl, every=False, device=cpu) is one
    assert blocks.compiled_kernel(kernel, bowl, every=True, device=cpu) is traced
    assert blocks.compiled_kernel(other, bowl, every=False, device=cpu) not in (one, traced)
    assert blocks.compiled_kernel(kernel, bowl, every=False, device=cpu) is not one  # two are held
