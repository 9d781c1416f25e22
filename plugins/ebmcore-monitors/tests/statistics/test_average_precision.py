import pytest
import torch
from ebmcore_monitors.statistics.average_precision import curves
from ebmcore_monitors.statistics.ranks import share_above
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score


def test_three_positives_by_hand():
    # from the highest down: +, then + and - of one score, then -, then +
    found = curves(torch.tensor([9.0, 5.0, 1.0]), torch.tensor([5.0, 3.0]))
    assert found.recall.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])
    assert found.precision.tolist() == pytest.approx([1, 2 / 3, 1 / 2, 3 / 5])
    assert found.false_positives.tolist() == [0, 0.5, 1, 1]
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


@pytest.mark.parametrize("values", [5, 40, 10**9], ids=["ties", "some ties", "no ties"])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 200), (300, 70)])
def test_areas_are_those_of_scikit_learn(values, n, m):
    g = torch.Generator().manual_seed(n)
    upper, lower = (
        torch.randint(values, (n,), generator=g),
        torch.randint(values, (m,), generator=g),
    )
    upper, lower = upper.double() + values / 10, lower.double()
    truth = [1] * n + [0] * m
    scores = torch.cat([upper, lower]).numpy()
    found = curves(upper, lower)
    assert found.average_precision == pytest.approx(
        average_precision_score(truth, scores), abs=1e-12
    )
    assert share_above(upper, lower) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(truth, scores)
    assert found.precision.flip(0).tolist() == pytest.approx(precision[:-1].tolist(), abs=1e-12)
    assert found.recall.flip(0).tolist() == pytest.approx(recall[:-1].tolist(), abs=1e-12)


def test_infinite_scores_are_ranked():
    inf = torch.inf
    found = curves(torch.tensor([inf, inf, 1.0]), torch.tensor([inf, -inf]))
    assert found.recall.tolist() == pytest.approx([2 / 3, 1, 1])
    assert found.average_precision == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 4)
