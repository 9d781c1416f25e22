import pytest
from ebmcore_monitors.exact_likelihood import ExactLikelihood


def test_energy_of_the_wrong_shape_is_refused(make_view, new_mixture):
    view = make_view(lambda x: x.sum(1, keepdim=True), new_mixture().draw(10))
    with pytest.raises(ValueError, match="one value is needed for each point"):
        ExactLikelihood()(view)
