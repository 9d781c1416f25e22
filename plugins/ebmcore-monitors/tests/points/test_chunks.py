import pytest
import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood
from ebmcore_monitors.points.chunks import evaluate, split


def test_energy_of_the_wrong_shape_is_refused(make_view, new_mixture):
    view = make_view(lambda x: x.sum(1, keepdim=True), new_mixture().draw(10))
    with pytest.raises(ValueError, match="one value is needed for each point"):
        ExactLikelihood()(view)


def test_chunks_are_evaluated_in_order_and_without_a_graph():
    weight = torch.ones(2, requires_grad=True)
    x = torch.arange(9000.0).reshape(4500, 2)
    found = evaluate(lambda x: x @ weight, split(x))
    assert torch.equal(found, x.sum(1).double())
    assert not found.requires_grad
    assert evaluate(lambda x: x @ weight, ()).shape == (0,)
