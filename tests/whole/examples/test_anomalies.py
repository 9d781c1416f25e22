"""A table of normal rows, trained on, and anomalies in another file."""

import pytest
import torch
from ebmcore_nets import KernelDensity
from ebmcore_transforms import RankGaussian, Standardise, Whiten
from sklearn.metrics import average_precision_score, roc_auc_score

import ebmcore
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support import ROOT

pytestmark = pytest.mark.plugins

VIEWS = {"standardise": Standardise, "rank_gaussian": RankGaussian, "whiten": Whiten}
AGAINST = {"type": "file", "path": "others.csv"}
CONFIG = {
    "seed": 0,
    "data": {
        "type": "file",
        "path": "normal.csv",
        "holdout": 0.25,
        "transform": [{"type": "standardise"}],
    },
    "energy": {"type": "mlp", "hidden": [16], "activation": "silu"},
    "loss": {"type": "denoising_score_matching", "sigma": 0.3},
    "optimizer": {"type": "Adam", "lr": 0.01},
    "train": {"steps": 5, "batch_size": 20},
    "monitors": [{"type": "out_of_distribution", "against": AGAINST}],
    "tracking": "off",
}


def write_csv(path, rows):
    lines = [",".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    path.write_text("\n".join(["length,width,age", *lines]) + "\n")


def test_rows_of_another_file_are_told_from_held_out_ones(tmp_path):
    g = torch.Generator().manual_seed(0)
    units = torch.tensor([1.0, 10.0, 100.0])
    write_csv(tmp_path / "normal.csv", 50 + torch.randn(80, 3, generator=g) * units)
    write_csv(tmp_path / "others.csv", 51 + torch.randn(30, 3, generator=g) * units)
    run = ebmcore.run(CONFIG, progress=False)
    metrics = {k.split("/")[1]: v for k, v in run.metrics.items() if k.startswith("out_of_")}
    files = ebmcore.evaluate(run.dir, {"monitors": []}, against="others.csv")
    nodes = ebmcore.evaluate(run.dir, {"monitors": []}, against=AGAINST)
    named = {f"out_of_distribution/{name}": value for name, value in metrics.items()}
    assert files.metrics == nodes.metrics == named

    held_out = compose(*prepare(CONFIG)).data.held_out  # as the energy takes them
    lines = (tmp_path / "others.csv").read_text().splitlines()[1:]
    others = torch.tensor([[float(cell) for cell in line.split(",")] for line in lines])
    with torch.no_grad():
        energy = torch.cat([run.energy(held_out), run.energy(run.transforms(others))]).double()
    truth = [0] * 20 + [1] * 30
    assert metrics["auroc"] == pytest.approx(roc_auc_score(truth, energy), abs=1e-12)
    assert metrics["aupr"] == pytest.approx(average_precision_score(truth, energy), abs=1e-12)


def test_the_recipe_scores_a_table_that_it_never_saw(tmp_path):
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[1.0, 5.0, 200.0], [0.5, -5.0, 100.0]])
    normal = torch.randn(230, 2, generator=g) @ mix
    alone = torch.stack([column[torch.randperm(60, generator=g)] for column in normal[:60].T], 1)
    write_csv(tmp_path / "normal.csv", normal[:150])
    changed = {"data.path": str(tmp_path / "normal.csv"), "train.steps": 20}
    run = ebmcore.run(
        ROOT / "examples" / "anomaly.yaml", changed, runs_dir=tmp_path, progress=False
    )
    again = ebmcore.load(run.dir)  # its rows are in the checkpoint
    x = run.transforms(torch.cat([normal[150:], alone]))
    energies = run.energy(x).detach()
    assert torch.equal(again.energy(x).detach(), energies)
    labels = [0] * 80 + [1] * 60
    assert roc_auc_score(labels, energies) > 0.95  # each column alone has the same law in both
    weights = [float(term.log_weight.detach()) for term in run.energy.terms]
    assert len(set(weights)) == 3  # each has learned its own


@pytest.mark.parametrize("n", [2, 5, 70])
@pytest.mark.parametrize("view", ["standardise", "rank_gaussian", "whiten"])
def test_rows_that_are_all_the_same_have_finite_energies(n, view):
    constant = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    constant[:, 1] = 2.0
    for rows in (constant, torch.ones(n, 3), (constant > 0).float()):
        energy = KernelDensity(rows, norm=1, view=VIEWS[view]())
        x = torch.cat([rows, rows + 1, rows * 1000]).requires_grad_()
        values = energy(x)
        values.sum().backward()
        assert values.isfinite().all()
        assert x.grad.isfinite().all()
        assert (values[n:].mean() > values[:n].mean()).item()
