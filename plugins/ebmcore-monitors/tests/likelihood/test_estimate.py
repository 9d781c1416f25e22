"""Events of which neither quadrature nor enumeration adds up all: `estimate`."""

from typing import ClassVar

import pytest
import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood

from ebmcore import Binary, Mixed, Real


class Halved:
    """A monitor of up to five real numbers."""

    spaces: ClassVar = (Real,)

    def check(self, event_shape, space):
        if event_shape[0] > 5:
            raise ValueError("at most five")

    def __call__(self, view):
        return {"nll_estimate": float(view.held_out.mean()) / 2}


def energy(x):
    return 0.5 * x.square().sum(1)


def test_an_estimate_stands_in_where_exact_numbers_end(make_view, warned):
    monitor, g = ExactLikelihood(estimate=Halved()), torch.Generator().manual_seed(0)
    wide = make_view(energy, torch.randn(50, 5, generator=g), held_out=torch.full((3, 5), 4.0))
    assert monitor(wide) == {"nll_estimate": 2.0}
    plane = make_view(energy, torch.randn(500, 2, generator=g))
    assert set(monitor(plane)) == {"log_z", "log_z_error", "leak"}
    assert warned == []


def test_an_estimate_says_what_it_takes():
    monitor = ExactLikelihood(estimate=Halved())
    for shape in ((2,), (5,)):
        monitor.check(shape)
    monitor.check((20,), Binary())
    with pytest.raises(ValueError, match="at most five"):
        monitor.check((6,))
    with pytest.raises(ValueError, match=r"at most 1,048,576 events; there are 2\^21"):
        monitor.check((21,), Binary())
    with pytest.raises(ValueError, match=r"mixed .* events are neither"):
        monitor.check((2,), Mixed((Real(), Binary())))
    ExactLikelihood(estimate=lambda view: {}).check((9,), Binary())


@pytest.mark.parametrize(("shape", "space"), [((4,), Real()), ((21,), Binary())])
def test_without_one_the_message_says_how_to_get_it(shape, space):
    with pytest.raises(ValueError, match=r"Set `estimate: log_z`, .*pip install ebmcore-estima"):
        ExactLikelihood().check(shape, space)
