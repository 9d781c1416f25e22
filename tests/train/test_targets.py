"""Networks beside the energy: which loss trains which, and that gradients reach nothing else."""

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import ConfigError, Experiment, RunError
from ebmcore.config import read_train
from ebmcore.contracts import BUILD_SLOTS, LOSS_SLOTS, Conditions
from ebmcore.train.rng import Streams
from ebmcore.train.step import TrainStep

X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Bowl(nn.Module):
    """E(x) = ½ Σ (w x)²."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.5, 0.5], dtype=torch.float64))

    def forward(self, x):
        return 0.5 * (self.weight * x).square().sum(1)


class Shift(nn.Module):
    """z + b."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.tensor([0.3, -0.2], dtype=torch.float64))

    def forward(self, z):
        return z + self.b


def gap(energy, proposer, x):
    """Touches both; trains the energy alone, as nothing says otherwise."""
    return (energy(x) - energy(proposer(x))).mean()


def cost(energy, proposer, x):
    return energy(proposer(x)).mean()


cost.trains = "proposer"


def both(energy, proposer, x):
    return (energy(x) * proposer(x).sum(1)).mean()


both.trains = ("energy", "proposer")


class Offset(nn.Module):
    """A loss with a parameter of its own that trains a network, and that holds the network."""

    trains = "proposer"

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.c = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        return (self.network(x).sum(1).mean() - self.c - 1).square()


def experiment(loss, **options):
    options = {"networks": {"proposer": Shift()}, "device": "cpu", **options}
    return Experiment(data=X, energy=Bowl(), loss=loss, holdout=0.0, **options)


def step_of(made, **train):
    train = read_train({"steps": 4, "batch_size": 10, **train})
    parts = made.assemble()
    made.check(parts, train)
    return TrainStep(parts, train, Streams(0, torch.device("cpu")), None), parts


def grads(parts):
    return parts.energy.weight.grad, parts.networks["proposer"].b.grad


def expected(terms, of):
    """The gradient of a weighted sum w.r.t. one tensor, from fresh modules."""
    energy, proposer = Bowl(), Shift()
    slots = {"energy": energy, "proposer": proposer, "x": X[:10]}
    total = sum(w * f(**{k: slots[k] for k in f.__code__.co_varnames[: f.__code__.co_argcount]})
                for f, w in terms)  # fmt: skip
    return torch.autograd.grad(total, energy.weight if of == "energy" else proposer.b)[0]


def test_a_loss_reaches_only_what_it_trains():
    for loss, trained in ((gap, 0), (cost, 1)):
        step, parts = step_of(experiment(loss))
        step.compute(X[:10], Conditions(), 0)
        found = grads(parts)
        assert found[1 - trained] is None
        torch.testing.assert_close(
            found[trained], expected([(loss, 1.0)], ("energy", "proposer")[trained])
        )


def test_each_target_gets_the_sum_of_the_losses_that_train_it():
    step, parts = step_of(experiment([(gap, 2.0), (cost, 0.5), (both, 3.0)]))
    result = step.compute(X[:10], Conditions(), 0)
    of_energy, of_proposer = grads(parts)
    torch.testing.assert_close(of_energy, expected([(gap, 2.0), (both, 3.0)], "energy"))
    torch.testing.assert_close(of_proposer, expected([(cost, 0.5), (both, 3.0)], "proposer"))
    torch.testing.assert_close(result.metrics["train/grad_norm"], of_energy.norm())
    torch.testing.assert_close(result.metrics["train/proposer/grad_norm"], of_proposer.norm())


def test_each_gradient_is_clipped_by_itself():
    step, parts = step_of(experiment([gap, cost]), clip_grad_norm=1e-3)
    step.compute(X[:10], Conditions(), 0)
    for gradient in grads(parts):
        torch.testing.assert_close(gradient.norm().item(), 1e-3, rtol=1e-3, atol=0)


def test_the_own_parameters_of_a_loss_train_with_the_energy():
    proposer = Shift()
    made = experiment([gap, Offset(proposer)], networks={"proposer": proposer})
    step, parts = step_of(made)
    step.compute(X[:10], Conditions(), 0)
    own = made.losses[1].function.c
    assert own.grad.item() != 0
    held = [p for group in parts.optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(own), id(parts.energy.weight)}
    torch.testing.assert_close(parts.energy.weight.grad, expected([(gap, 1.0)], "energy"))


def test_a_network_has_an_optimizer_of_its_own():
    rate = {"proposer": lambda parameters: torch.optim.SGD(parameters, lr=0.5)}
    step, parts = step_of(experiment([gap, cost], optimizers=rate))
    assert type(parts.optimizer) is torch.optim.Adam
    before, weight = parts.networks["proposer"].b.detach().clone(), parts.energy.weight.clone()
    step(X[:10], Conditions(), 0)
    moved = parts.networks["proposer"].b.detach() - before
    torch.testing.assert_close(moved, -0.5 * expected([(cost, 1.0)], "proposer"))
    assert not torch.equal(parts.energy.weight, weight)


def test_a_network_that_no_loss_trains_stays_as_it_is():
    made = experiment(gap)
    run = made.run(steps=2, batch_size=10, tracking="off", progress=False)
    assert torch.equal(run.networks["proposer"].b, Shift().b)
    assert any("no loss trains 'proposer'" in text for text in run.warnings)


def test_without_networks_nothing_is_new_in_a_run():
    run = Experiment(data=X, energy=Bowl(), loss=lambda energy, x: energy(x).mean()).run(
        steps=2, batch_size=10, tracking="off", progress=False
    )
    (state,) = run.dir.glob("checkpoints/step-*")
    assert not [path.name for path in state.iterdir() if "network" in path.name]
    assert '"optimizers"' not in (state / "state.json").read_text()


def test_averages_are_what_monitors_samples_and_load_use():
    seen = []

    class Proposed(ebmcore.Chains):
        def __init__(self, network):
            self.network = network

        def start(self, x, generator):
            with torch.no_grad():
                return self.network(torch.zeros_like(x))

    def look(view):
        seen.append((view.networks["proposer"].b.clone(), view.sample(3, n_steps=1)))
        return {}

    def stay(energy, x, generator):
        return x

    def pull(energy, x, x_neg):
        return energy(x).mean() - energy(x_neg).mean()

    proposer = Shift()
    run = experiment(
        [pull, cost], networks={"proposer": proposer}, sampler=stay, n_steps=1,
        chains=Proposed(proposer), monitors=[(look, "end")],
        optimizers={"proposer": lambda p: torch.optim.SGD(p, lr=0.1)},
    ).run(steps=3, batch_size=10, ema=0.9, tracking="off", progress=False)  # fmt: skip
    averaged, samples = seen[-1]
    assert not torch.equal(averaged, proposer.b)
    assert torch.equal(averaged, run.networks["proposer"].b)
    for found in (samples, run.sample(3, n_steps=1)):
        torch.testing.assert_close(found, averaged.detach().expand(3, 2), rtol=0, atol=0)
    loaded = ebmcore.load(run.dir, energy=Bowl(), networks={"proposer": Shift()})
    assert torch.equal(loaded.networks["proposer"].b, averaged)


@pytest.mark.parametrize(
    "name", [*sorted({*LOSS_SLOTS, *BUILD_SLOTS}), "two words", "1st", "class"]
)
def test_names_that_a_network_cannot_have(name):
    with pytest.raises(ConfigError, match=r"networks\.") as caught:
        experiment(gap, networks={name: Shift()})
    assert "another name" in str(caught.value) or "an identifier" in str(caught.value)


def test_wiring_is_refused_in_one_sentence():
    def strange(energy, propser):
        return energy.weight.sum()

    with pytest.raises(ConfigError, match=r"networks: proposer\. Did you mean 'proposer'\?"):
        experiment(strange)

    def lost(energy, x):
        return energy(x).mean()

    lost.trains = "propser"
    with pytest.raises(ConfigError, match=r"no network 'propser' to train; did you mean 'prop"):
        experiment(lost)
    with pytest.raises(ConfigError, match=r"optimizers\.other: no such network"):
        experiment(gap, optimizers={"other": torch.optim.SGD}).assemble()
    with pytest.raises(ConfigError, match=r"should be an nn\.Module"):
        experiment(gap, networks={"proposer": len})
    one = torch.optim.SGD([nn.Parameter(torch.zeros(2))])
    with pytest.raises(ConfigError, match="give network 'proposer' one of its own"):
        experiment(gap, optimizer=one).assemble()
    frozen = Shift().requires_grad_(False)
    with pytest.raises(ConfigError, match="'proposer', which has no weight of its own"):
        step_of(experiment(cost, networks={"proposer": frozen}))


def test_a_loss_that_never_reaches_what_it_trains_ends_the_run():
    def cut(energy, proposer, x):
        return energy(proposer(x).detach()).mean()

    cut.trains = "proposer"
    with pytest.raises(RunError, match="no loss that trains 'proposer' depends on a weight of it"):
        experiment([gap, cut]).run(steps=2, batch_size=10, tracking="off", progress=False)
