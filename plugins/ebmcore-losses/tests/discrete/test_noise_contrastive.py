"""Noise contrast of bits and categories: the noise's law by enumeration, the loss at the truth."""

import math

import pytest
import torch
from ebmcore_losses import NoiseContrastive
from torch.nn.functional import softplus

from ebmcore import Binary, Categorical


def drawn(lattice, n, seed):
    rows = torch.multinomial(lattice.p, n, replacement=True, generator=seeded(seed))
    return lattice.x[rows]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_noise_is_independent_and_as_often_as_the_data(lattice):
    data = drawn(lattice, 50, 0)
    loss = NoiseContrastive(data, ridge=0.2, space=lattice.space)
    log_p = torch.zeros(len(lattice.x))
    for row, x in enumerate(lattice.x):
        share = (data == x).double().mean(0)
        log_p[row] = (0.8 * share + 0.2 / lattice.k).log().sum()
    found = loss.noise.log_prob(lattice.x)
    torch.testing.assert_close(found, log_p.to(found), rtol=1e-5, atol=1e-5)
    p = log_p.double().exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    assert loss.log_z.item() == pytest.approx(-float(torch.special.xlogy(p, p).sum()), abs=1e-5)
    draws = loss.noise.draw(20_000, seeded(1))
    assert draws.dtype == lattice.x.dtype
    places = lattice.k ** torch.arange(lattice.x.shape[1] - 1, -1, -1)
    counts = (draws.long() * places).sum(1).bincount(minlength=len(p))
    # 5 standard errors for each of at most 27 events
    assert ((counts / 20_000 - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()


@pytest.mark.parametrize("ratio", [1, 3])
def test_the_gradient_is_zero_at_the_truth_alone(lattice, ratio):
    """Of 60 batches, within 5.5 standard errors of Student's t with 59 degrees of freedom."""
    truth = torch.logsumexp(-lattice.energy.values, 0).item()
    data = drawn(lattice, 200, 2)
    for log_z, there in ((truth, True), (truth + 0.2, False)):
        loss = NoiseContrastive(data, ratio=ratio, ridge=0.1, log_z=log_z, space=lattice.space)
        generator, rows = seeded(3), []
        for batch in range(60):
            value, _ = loss(lattice.energy, drawn(lattice, 1000, 100 + batch), generator)
            parts = torch.autograd.grad(value, [lattice.energy.values, loss.log_z])
            rows.append(torch.cat([part.view(-1).double() for part in parts]))
        rows = torch.stack(rows)
        t = rows.mean(0) / (rows.std(0) / math.sqrt(len(rows)))
        assert (t.abs() < 5.5).all() if there else t[-1].abs() > 10


def test_by_hand(lattice):
    loss = NoiseContrastive(drawn(lattice, 50, 4), ratio=2, log_z=0.3, space=lattice.space)
    x = lattice.x[:5]
    value, logged = loss(lattice.energy, x, seeded(5))
    noise = loss.noise.draw(10, seeded(5))

    def odds(x):  # of data against noise
        log_model = -lattice.energy(x) - 0.3
        return log_model - math.log(2) - loss.noise.log_prob(x)

    expected = softplus(-odds(x)).mean() + 2 * softplus(odds(noise)).mean()
    torch.testing.assert_close(value, expected)
    assert logged["log_z"].item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("space", "keys", "message"),
    [
        (Binary(), {"mean": 0.5, "std": 0.5}, "noise of binary events is fitted to training data"),
        (Binary(), {"ridge": 0.0}, "a value that doesn't occur .* raise `ridge`"),
        (Categorical(3), {"ridge": 1.5}, "ridge is a probability .* at most 1; got 1.5"),
    ],
)
def test_noise_that_has_no_law_is_refused(space, keys, message):
    with pytest.raises(ValueError, match=message):
        NoiseContrastive(torch.zeros(4, 2), space=space, **keys)


def test_events_of_another_size_are_refused(lattice):
    loss = NoiseContrastive(drawn(lattice, 50, 6), space=lattice.space)
    with pytest.raises(ValueError, match=r"built for events of \d elements; got 7"):
        loss.noise.log_prob(torch.zeros(2, 7))
