import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood


def test_density_on_the_grid_is_cached_and_the_numbers_stay(make_view, new_mixture, squares):
    model = new_mixture(torch.tensor([[1.3, 1.3]]), sd=1.0)
    data = squares.draw(500, 0)
    monitor = ExactLikelihood(points=81)
    found = monitor(make_view(model, data, dataset=squares))
    evaluated = squares.calls
    assert evaluated > 0
    assert monitor(make_view(model, data, dataset=squares)) == found
    assert squares.calls == evaluated
    assert ExactLikelihood(points=81)(make_view(model, data, dataset=squares)) == found


def test_another_box_dataset_or_dtype_misses_the_cache(make_view, new_mixture):
    first, second = new_mixture(), new_mixture(sd=0.4)
    monitor, x = ExactLikelihood(points=101), first.draw(500)
    for dataset, data in [(first, x), (second, x), (second, 1.5 * x), (second, x.double())]:
        view = make_view(first, data, dataset=dataset)
        assert monitor(view) == ExactLikelihood(points=101)(view)
