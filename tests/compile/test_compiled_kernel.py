"""A compiled kernel's bookkeeping, with its graph called as the plain function that it is."""

import pytest
import torch

from ebmcore.compile import chains as blocks
from ebmcore.compile.batched_noise import BatchedNoise, generator_state, set_generator_state
from ebmcore.compile.chains import STEPS_PER_GRAPH, CompiledKernel, compiling_pays
from ebmcore.errors import GraphError
from ebmcore.sampling import Walk, given
from support import compile_parts as made

CPU = torch.device("cpu")
X = torch.linspace(-1, 1, 10).reshape(5, 2)


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def bowl(x, y=1.0):
    return 0.5 * y * x.square().sum(1)


def kernel_of(change=lambda function: function, energy=bowl, every=False):
    compiled = CompiledKernel(made.Ula(), energy, every=every, device=CPU)
    compiled.why, function = "", compiled.graph.function
    compiled.graph = change(function)
    return compiled


def walked(n_steps, compiled=None, energy=bowl, generator=None):
    return Walk(made.Ula(), energy, X, generator, compiled, n_steps=n_steps).go(n_steps)


@pytest.mark.parametrize("n_steps", [7, 20, 47])
def test_whole_blocks_and_then_single_steps(n_steps):
    compiled, one, other = kernel_of(), seeded(), seeded()
    found = walked(n_steps, compiled, generator=one)
    expected = walked(n_steps, generator=other)
    torch.testing.assert_close(found.x, expected.x)
    torch.testing.assert_close(found.info, expected.info)
    assert torch.equal(one.get_state(), other.get_state())
    assert compiled.why == ""


@pytest.mark.parametrize("every", [True, False])
def test_a_block_gives_its_states_or_its_last(every):
    compiled, kernel = kernel_of(every=every), made.Ula()
    found = list(compiled.run(kernel.init(bowl, X), 23, seeded()))
    assert [len(states) for _, states in found] == [STEPS_PER_GRAPH if every else 1, 1, 1, 1]
    for state, states in found:
        assert torch.equal(states[-1][0], state.x)


def off(function):
    def wrong(state, noises, conditions):
        state, states = function(state, noises, conditions)
        return state._replace(x=state.x + 0.1), states

    return wrong


def fails(function):
    def wrong(state, noises, conditions):
        raise GraphError("it can't be traced")

    return wrong


@pytest.mark.parametrize(("change", "why"), [(off, "samples differ"), (fails, "can't be traced")])
def test_a_block_that_goes_wrong_is_walked_step_by_step(change, why):
    compiled, one, other = kernel_of(change), seeded(), seeded()
    found = walked(25, compiled, generator=one)
    torch.testing.assert_close(found.x, walked(25, generator=other).x)
    assert torch.equal(one.get_state(), other.get_state())
    assert why in compiled.why


def test_a_kernel_that_draws_in_its_step_is_found_out():
    class Draws(made.Ula):
        generator = seeded()

        def step(self, energy, state, noise):
            torch.rand(1, generator=self.generator)
            return super().step(energy, state, noise)

    compiled = CompiledKernel(Draws(), bowl, every=False, device=CPU)
    compiled.why, compiled.graph = (
        "",
        lambda state, noises, conditions: kernel_of().graph(state, noises, conditions),
    )
    list(compiled.run(compiled.kernel.init(bowl, X), 20, compiled.kernel.generator))
    assert "samples differ" in compiled.why


def test_conditions_are_inputs_of_a_block():
    compiled = kernel_of(energy=given(bowl, y=torch.ones(5)))
    blocks._RECENT[:] = [compiled]
    compiled.device = CPU
    other = given(bowl, y=torch.full((5,), 9.0))
    again = blocks.compiled_kernel(compiled.kernel, other, every=False, device=CPU)
    assert again is compiled
    found = walked(20, compiled, other, seeded())
    torch.testing.assert_close(found.x, walked(20, None, other, seeded()).x)
    for kernel, energy, every in (
        (made.Ula(), other, False),
        (compiled.kernel, lambda x: x.sum(1), False),
        (compiled.kernel, other, True),
    ):
        blocks._RECENT[:] = [compiled]
        assert blocks.compiled_kernel(kernel, energy, every=every, device=CPU) is not compiled


def test_compiling_pays_from_a_hundred_thousand_steps():
    assert [compiling_pays(made.Ula(), n) for n in (99_999, 100_000)] == [False, True]
    assert not compiling_pays(made.Long(), 10**9)


def test_batched_noise_has_the_dtype_and_shape_of_its_points():
    noise = BatchedNoise(made.Ula())
    for x in (X.double(), X.double(), X, X[:3], X.repeat(8, 1), X.repeat(8, 1)):
        found = noise(x, seeded(), 4)
        one = seeded()
        assert all(torch.equal(n[0], made.Ula().noise(x, one)[0]) for n in found)
        assert {n[0].dtype for n in found} == {x.dtype}


def test_noise_of_two_shapes_is_refused():
    class Grows:
        n = 3

        def noise(self, x, generator):
            self.n += 1
            return (torch.randn(self.n, generator=generator),)

    with pytest.raises(GraphError, match="changes from step to step"):
        BatchedNoise(Grows())(X, seeded(), 2)


def test_the_state_of_torchs_own_generator_is_set():
    for generator in (None, seeded()):
        before = generator_state(generator, X)
        first = torch.rand(3, generator=generator)
        set_generator_state(generator, X, before)
        assert torch.equal(torch.rand(3, generator=generator), first)
