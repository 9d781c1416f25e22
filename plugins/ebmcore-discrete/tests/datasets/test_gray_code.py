"""Gray codes: their bits by hand, their law over all events, the published entropies, draws."""

import math

import pytest
import torch
from ebmcore_discrete import GrayCode
from ebmcore_discrete.datasets.gray_code import REACH
from ebmcore_discrete.datasets.toys import TOYS

FLOORS = {"2spirals": 20.037, "8gaussians": 19.979, "circles": 20.554, "moons": 19.719,
          "pinwheel": 19.547, "swissroll": 20.142, "checkerboard": 20.677}  # fmt: skip


@pytest.fixture(scope="module")
def everything():
    return torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * 16)


def test_a_point_is_a_sign_and_a_gray_code():
    code = GrayCode("checkerboard", bits=8)  # 3 bits of cell, scale 8/6
    assert code.scale == pytest.approx(8 / 6)
    x = code.encode(torch.tensor([[2.9, -0.1], [-5.9, 0.0]]))
    assert x.int().tolist() == [[0, 0, 1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]  # 3, -0; -7, 0
    middle = code.decode(x)
    expected = torch.tensor([[3.5, -0.5], [-7.5, 0.5]]) / code.scale
    torch.testing.assert_close(middle, expected)
    cells = code.encode(torch.tensor([[(k + 0.5) / code.scale, 0] for k in range(8)]))
    assert ((cells[1:] != cells[:-1]).sum(1) == 1).all()
    wide = GrayCode("moons", bits=32, n=500)
    x = wide().double()
    assert torch.equal(wide.encode(wide.decode(x)).double(), x)


@pytest.mark.parametrize("toy", FLOORS)
def test_the_law_of_all_events_is_that_of_draws(toy, everything, seeded):
    code = GrayCode(toy)
    mass = code.log_prob(everything).exp()
    missing = 2e-5 if toy == "pinwheel" else 1e-10
    assert mass.sum().item() == pytest.approx(1, abs=missing)
    entropy = -torch.special.xlogy(mass, mass).sum().item()
    assert code.entropy == pytest.approx(entropy, abs=1e-9)
    n = 60_000
    drawn = GrayCode(toy, n=n, bits=10, generator=seeded)()
    mass = mass.reshape(32, 8, 32, 8).sum((1, 3)).flatten()  # the three lowest bits of each axis
    places = 2 ** torch.arange(9, -1, -1)
    found = torch.bincount((drawn.long() * places).sum(1), minlength=2**10)
    often = n * mass > 8
    wanted, got = n * mass[often], found[often].double()
    statistic = ((got - wanted).square() / wanted).sum().item()
    cells = int(often.sum())
    assert abs(statistic - cells) < 5 * math.sqrt(2 * cells)
    rest = n * (1 - mass[often].sum().item())
    assert abs(float(found[~often].sum()) - rest) < 5 * math.sqrt(rest + 1)


@pytest.mark.parametrize("toy", FLOORS)
def test_the_entropies_of_32_bits_are_the_published_floors(toy):
    code = GrayCode(toy, bits=32, n=300, generator=torch.Generator().manual_seed(1))
    assert code.entropy == pytest.approx(FLOORS[toy], abs=1.5e-3)
    nll = -code.log_prob(code().double())
    assert abs(nll.mean().item() - code.entropy) < 5 * nll.std().item() / 300**0.5 + 1e-3


@pytest.mark.parametrize("toy", REACH)
def test_the_reach_is_one_of_5000_points(toy, seeded):
    largest = [TOYS[toy]().draw(5000, seeded).abs().max().item() for _ in range(40)]
    assert min(largest) <= REACH[toy] <= max(largest) + 1e-3


def test_a_table_and_single_boxes_agree():
    for toy in ("2spirals", "pinwheel"):
        wide, x = GrayCode(toy, bits=20, n=200), None
        x = wide().double()
        corner = wide._corner(x)
        single = wide.toy.mass(corner / wide.scale, (corner + 1) / wide.scale).log()
        torch.testing.assert_close(wide.log_prob(x), single)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="bits should be an even number from 6 to 60; got 7"):
        GrayCode(bits=7)
    with pytest.raises(ValueError, match="toy should be one of 2spirals"):
        GrayCode("spiral")
    with pytest.raises(ValueError, match=r"takes events \(m, 16\)"):
        GrayCode().log_prob(torch.zeros(2, 8))
    assert GrayCode().log_prob(torch.full((1, 16), 0.5)).item() == -math.inf
