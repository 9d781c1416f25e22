"""Each diagnosis detects its failure in a run that has it, and only there."""

import json
import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_monitors.advice import DIAGNOSES, Advice
from torch import Tensor, nn

from ebmcore import Chains, Experiment, Kernel, Start, Trace, energy_and_score


class Bowl(nn.Module):
    """E(x) = ½ ‖(x - centre) / scale‖² + constant, with all three trained."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(2))
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return 0.5 * ((x - self.centre) / self.log_scale.exp()).square().sum(1) + self.constant


class Net(nn.Module):
    """A bowl with a network in it."""

    def __init__(self, width=64):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def forward(self, x):
        return self.layers(x)[:, 0] + 0.5 * x.square().sum(1)


class State(NamedTuple):
    x: Tensor


class Info(NamedTuple):
    score_norm: Tensor


class Langevin(Kernel):
    def __init__(self, step_size=0.1, temperature=1.0):
        self.step_size = step_size
        self.implied_temperature = temperature

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype),)

    def step(self, energy, state, noise):
        _, score = energy_and_score(energy, state.x)
        spread = math.sqrt(2 * self.step_size * self.implied_temperature)
        x = state.x + self.step_size * score + spread * noise[0]
        return State(x), Info(score.flatten(1).norm(dim=1))


class Acceptance(NamedTuple):
    acceptance: Tensor


class Metropolis(Kernel):
    """A random walk of steps N(0, width²), accepted or not."""

    def __init__(self, width):
        self.width = width

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        uniform = torch.rand(len(x), generator=generator, dtype=x.dtype)
        return torch.randn(x.shape, generator=generator, dtype=x.dtype), uniform

    def step(self, energy, state, noise):
        proposal = state.x + self.width * noise[0]
        with torch.no_grad():
            acceptance = (energy(state.x) - energy(proposal)).clamp(max=0).exp()
        kept = (noise[1] < acceptance)[:, None]
        return State(torch.where(kept, proposal, state.x)), Acceptance(acceptance)


class Kept(Chains):
    """One chain for each place of the batch, begun at standard normal noise."""

    begins_at_data = False

    def __init__(self):
        self.x = None

    def start(self, x, generator):
        return torch.randn(x.shape, generator=generator) if self.x is None else self.x

    def keep(self, end):
        self.x = end.x

    def kept(self):
        return None if self.x is None else Start(self.x)


def far_noise(x, generator):
    return 10.0 + torch.randn(x.shape, generator=generator)


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def unbalanced(energy, x, x_neg):
    """A loss whose halves do not weigh the same: it rewards E for running away."""
    return energy(x).mean() - 0.9 * energy(x_neg).mean()


def points(n=400, seed=0):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return torch.tensor([1.0, -1.0]) + x


@pytest.fixture
def train(tmp_path):
    def run(steps=120, every="10 steps", sgd=None, batch_size=64, log_every=10, **parts):
        known = {
            "data": points(),
            "energy": Bowl(),
            "sampler": Langevin(),
            "chains": Kept(),
            "loss": gap,
            "optimizer": lambda p: torch.optim.Adam(p, lr=0.01),
            "monitors": [(Advice(), every)],
            "device": "cpu",
        }
        return Experiment(**known | parts).run(
            steps=steps,
            batch_size=batch_size,
            log_every=log_every,
            tracking="off",
            runs_dir=tmp_path,
            progress=False,
        )

    return run


def warning(run, word):
    """Return the only warning that contains the word; a second one of its kind fails."""
    (message,) = [text for text in run.warnings if word in text]
    return message


def numbers(run, name):
    """Return all that was recorded of a number of the monitor's, in order."""
    rows = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def detected(run):
    return {name for name in DIAGNOSES if run.metrics.get(f"Advice/{name}") == 1.0}


def adam(lr):
    return lambda parameters: torch.optim.Adam(parameters, lr=lr)


@pytest.mark.parametrize(
    "parts",
    [{}, {"energy": Net()}, {"sampler": Metropolis(1.0)}],
    ids=["bowl", "net", "metropolis"],
)
def test_a_healthy_run_gets_no_warning(train, parts):
    run = train(**parts)
    assert run.warnings == []
    assert detected(run) == set()
    judged = {"rejecting"} if parts.get("sampler") else set()
    known = {name for name in DIAGNOSES if f"Advice/{name}" in run.metrics}
    assert known == (set(DIAGNOSES) - {"rejecting"}) | judged


def test_energies_that_drift(train):
    run = train(loss=unbalanced, optimizer=adam(0.5), steps=150)
    assert detected(run) == {"drifting"}
    message = warning(run, "energies drift")
    assert "energy_magnitude" in message
    assert run.metrics["Advice/energy_of_data"] < -20


def test_chains_that_do_not_keep_up(train):
    run = train(
        chains=far_noise, n_steps=1, sampler=Langevin(0.001), optimizer=adam(1e-3), steps=150
    )
    assert detected(run) == {"gap_stays"}
    message = warning(run, "energy gap stays")
    assert "below that of the samples" in message
    for key in ("sampler.n_steps", "optimizer.lr", "persistent"):
        assert key in message
    assert numbers(run, "Advice/gap_in_spreads")[-1] < -2


def test_samples_that_training_leaves_behind(train):
    """Chains beside the data that hardly move: training raises E where they are."""
    far = 0.3 * points() + torch.tensor([2.0, -2.0])
    slow = Langevin(1e-4)
    run = train(data=far, energy=Net(), sampler=slow, n_steps=2, optimizer=adam(2e-3), steps=40,
                every="5 steps")  # fmt: skip
    assert "left_behind" in detected(run)
    shares = numbers(run, "Advice/above_data")
    first = next(i for i, share in enumerate(shares) if share > 0.5)
    assert first > 0
    message = warning(run, "left behind")
    assert message.startswith(f"Advice at step {5 * (first + 2)}: ")
    gaps = numbers(run, "train/energy_gap")[: (5 * first) // 10]  # until then, one each 10 steps
    assert f"train.max_gap: {2 * max(map(abs, gaps)):.2g}" in message
    for key in ("sampler.n_steps", "optimizer.lr", "train.on_divergence: rollback"):
        assert key in message


def test_steps_that_are_too_small(train):
    run = train(sampler=Langevin(1e-8), steps=60)
    assert "barely_moving" in detected(run)
    assert "sampler.step_size" in warning(run, "barely moves")
    # the noise of k steps is √(2 η k) times a chi of 2 degrees, of median m = √(2 log 2), and the
    # data's scale is √2. The median of 64 has standard error 1 / (2 f(m) √64), f(m) = m / 2, in
    # shares of m 1 / (8 m²) = 0.09; 4 of them, and 5 % for the scale of 360 points
    expected = math.sqrt(2e-8 * 10) * math.sqrt(math.log(2))
    found = numbers(run, "Advice/displacement")
    error = 1 / (16 * math.log(2)) / math.sqrt(len(found))
    assert sum(found) / len(found) == pytest.approx(expected, rel=4 * error + 0.05)


def test_steps_that_are_all_rejected(train):
    run = train(sampler=Metropolis(100.0), steps=60)
    assert detected(run) == {"rejecting"}
    message = warning(run, "stuck")
    assert "Lower sampler.step_size" in message


def test_samples_that_collapse(train):
    run = train(sampler=Langevin(0.1, temperature=0.0), steps=60)
    assert "collapsed" in detected(run)
    message = warning(run, "collapsed")
    for key in ("chains.reinit", "temperature", "sampler.n_steps"):
        assert key in message
    assert run.metrics["Advice/samples_scale"] < 0.1


def test_samples_that_the_data_keep_from_collapsing(make_view, warned):
    """Chains of `chains: data` stand at the data; those of the model all end in one well."""
    x = points(100)
    known = {"x_neg": x, "draw": lambda n, k: torch.zeros(n, 2), "n_steps": 0}
    stay = Advice()(make_view(Bowl(), x, **known))
    assert (stay["collapsed"], stay["gap_in_spreads"]) == (0, pytest.approx(0, abs=1e-9))
    found = Advice()(make_view(Bowl(), x, begins_at_data=True, **known))
    assert (found["collapsed"], found["samples_scale"]) == (1, 0)
    energies = Bowl()(x).double().detach()  # and 0 in the well
    spread = (energies.var() / 2).sqrt()
    assert found["gap_in_spreads"] == pytest.approx(float(energies.mean() / spread), rel=1e-5)
    assert found["energy_of_samples"] == stay["energy_of_samples"]
    assert len(warned.about("collapsed")) == 1


def test_gradients_that_explode(train):
    run = train(energy=Net(), optimizer=adam(10.0), steps=30, log_every=1, every="5 steps")
    assert numbers(run, "Advice/exploding").count(1.0) > 0
    message = warning(run, "explode")
    assert "train.clip_grad_norm" in message
    assert "optimizer.lr" in message


def test_an_energy_that_overfits_the_data(train):
    run = train(energy=Net(), data=points(400), holdout=0.9, batch_size=40, steps=130)
    assert detected(run) == {"overfit"}
    message = warning(run, "overfits")
    for key in ("train.epochs", "train.data_noise", "l2_parameters"):
        assert key in message


def test_without_samples_only_data_are_judged(train):
    def flat(energy, x):
        return energy(x).square().mean()

    run = train(loss=flat, sampler=None, chains=None, steps=100)
    found = {name for name in DIAGNOSES if f"Advice/{name}" in run.metrics}
    assert found == {"badly_scaled", "drifting", "exploding", "overfit"}
    assert run.warnings == []


def test_columns_of_other_scales_are_told_first(make_view, warned):
    x = points(50) * torch.tensor([1.0, 1e-3])
    found = Advice()(make_view(Bowl(), x, x_neg=0.01 * x, columns=("length", "width")))
    assert (found["badly_scaled"], found["collapsed"]) == (1, 1)
    assert found["scale_ratio"] == pytest.approx(float(x[:, 0].std() / x[:, 1].std()))
    first, second = warned
    assert "column 'length' has a standard deviation of" in first
    assert "'width' of" in first
    assert "Set data.transform: [{type: standardise}]" in first
    assert "collapsed" in second


def test_another_run_is_warned_again(make_view, warned):
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    advice = Advice()
    for step in (1, 2, 1):
        advice(make_view(Bowl(), x, x_neg=0.01 * x, step=step))
    assert len(warned.about("collapsed")) == 2


def test_evidence_by_hand(make_view):
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0], [-3.0, 0.0]])

    def energy(x):
        return x[:, 0]

    view = make_view(energy, x, held_out=x + torch.tensor([6.0, 0.0]), x_neg=x.repeat(2, 1) + 2.0)
    found = Advice()(view)
    var_data, var_samples = 20 / 3, 40 / 7
    spread = math.sqrt((var_data + var_samples) / 2)
    assert found == pytest.approx(
        {
            "energy_of_data": 0.0,
            "energy_of_samples": 2.0,
            "gap_in_spreads": -2 / spread,
            "above_data": 0.0,  # none of 3, 1, 5, -1 is above 4 √(20/3)
            "samples_scale": math.sqrt(2 * var_samples / 2 / var_data),
            "held_out_excess": 6 / math.sqrt(var_data / 4 + var_data / 4),
            "collapsed": 0.0,
            "overfit": 0.0,
        }
    )


def test_movement_is_that_of_the_chains_in_training(make_view):
    asked = []

    def walk(n, n_steps, thin, **begin):
        asked.append(begin)
        return Trace(torch.zeros(n_steps, n, 2), None)

    Advice()(make_view(Bowl(), points(), walk=walk))
    assert asked == [{"as_trained": True}]
