import pytest
import torch
from ebmcore_monitors.energies import Energies
from ebmcore_monitors.exact_likelihood import ExactLikelihood
from ebmcore_monitors.histogram import Histogram2d
from ebmcore_monitors.landscape import Landscape
from ebmcore_monitors.panels import Panels
from ebmcore_monitors.samples import Samples


@pytest.mark.parametrize(
    "monitor",
    [Energies(n=50), ExactLikelihood(points=51), Landscape(), Panels(), Histogram2d(), Samples()],
    ids=lambda monitor: type(monitor).__name__,
)
def test_a_monitor_only_looks(view, mixture, monitor):
    mixture.train()
    data, state = view.data.clone(), torch.get_rng_state()
    monitor(view)
    assert torch.equal(view.data, data)
    assert torch.equal(torch.get_rng_state(), state)
    assert mixture.training
    assert mixture.centres.grad is None
    assert mixture.centres.requires_grad


def test_monitors_of_samples_need_a_sampler(make_view, mixture):
    for monitor in (Samples(), Histogram2d()):
        with pytest.raises(ValueError, match="no sampler"):
            monitor(make_view(mixture, mixture.draw(10)))
