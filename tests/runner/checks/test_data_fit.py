"""Parts that don't serve the data's events are refused before anything is built."""

import sys

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Binary, Categorical, ConfigError, Experiment, Kernel, PluginError, Real
from ebmcore.runner.api import prepare
from ebmcore.runner.checks.data_fit import check_monitor, serves
from ebmcore.runner.compose import compose

BITS = {
    "data": {"type": "bars", "n": 40},
    "energy": {"type": "rbm", "hidden": 3},
    "sampler": {"type": "block_gibbs", "hidden": 3, "n_steps": 1},
    "chains": {"type": "persistent", "size": 40},
    "loss": "contrastive_divergence",
    "train": {"steps": 1, "batch_size": 10},
}


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1)


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def plain(energy, x):
    return energy(x).mean()


class Flip(Kernel):
    spaces = (Binary,)

    def init(self, energy, x):
        return (x,)


def bits(n=20):
    return torch.randint(2, (n, 3), generator=torch.Generator().manual_seed(0))


def refused(overrides, config=BITS):
    with pytest.raises(ConfigError) as caught:
        compose(*prepare({**config, **overrides}))
    return [(problem.path, problem.message) for problem in caught.value.problems]


def refused_objects(text, train=None, **parts):
    made = Experiment(**{"data": bits(), "energy": Linear(), "loss": plain, **parts})
    with pytest.raises(ConfigError, match=text):
        made.run(steps=1, batch_size=5, tracking="off", progress=False, **(train or {}))


@pytest.mark.plugins
def test_a_sampler_of_another_space_is_refused():
    ((path, message),) = refused({"sampler": "langevin"})
    assert path == "sampler.type"
    assert message == (
        "'langevin' moves in real events, and data 'bars' are binary. "
        "Installed samplers for binary events: annealed, block_gibbs, dmala, dula, gibbs, "
        "gibbs_with_gradients, parallel_tempering."
    )


@pytest.mark.plugins
def test_every_misfit_is_named_at_once(monkeypatch):
    module = sys.modules[compose.__module__]
    monkeypatch.setattr(module, "load_dataset", lambda *_: pytest.fail("loaded"))
    problems = refused({"loss": ["score_matching", "gradient_penalty"], "monitors": ["landscape"]})
    assert [path for path, _ in problems] == ["loss.0.type", "loss.1.type", "monitors.0.type"]
    assert "contrastive_divergence" in problems[0][1]


@pytest.mark.plugins
def test_a_table_of_both_has_no_sampler_yet():
    table = {"type": "file", "path": "absent.npy", "space": {"mixed": ["real", "binary"]}}
    ((path, message),) = refused({"data": table, "energy": "mlp", "sampler": "langevin"})
    assert path == "sampler.type"
    assert message == (
        "'langevin' moves in real events, and data 'file' are mixed. Installed samplers for mixed "
        "events: none; one of your own says `spaces = (ebmcore.Mixed,)`."
    )


@pytest.mark.plugins
def test_an_energy_of_bits_is_refused_on_real_data():
    reals = {"data": {"type": "eight_gaussians", "n": 40}, "sampler": None, "loss": "l2_parameters"}
    ((path, message),) = refused(reals)
    assert path == "energy.type"
    assert message.startswith("'rbm' takes binary events, and data 'eight_gaussians' are real.")


@pytest.mark.plugins
def test_the_space_of_a_config_is_read_before_the_data_are():
    file = {"type": "file", "path": "absent.npy", "space": {"type": "categorical", "k": 3}}
    ((path, message),) = refused({"data": file, "energy": "mlp", "sampler": "block_gibbs"})
    assert (path, "are categorical" in message) == ("sampler.type", True)
    ((path, message),) = refused({"data": {**file, "space": "bits"}})
    assert path == "data.space"
    assert "should be real, binary" in message


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"sampler": lambda energy, x, generator: x, "chains": lambda x, generator: x,
          "loss": gap}, "declares no `spaces`, so moves in real events, and the data are binary"),
        ({"sampler": Flip(), "chains": lambda x, generator: x + 0.5, "loss": gap},
         "chains: row 0, column 0 .* but binary events hold 0 and 1 alone"),
        ({"train": {"data_noise": 0.1}}, "adds Gaussian noise, and the data are binary"),
        ({"loss": lambda energy, x, y: energy(x).mean()}, "asks for labels, `y`, and .* have none"),
    ],
)  # fmt: skip
def test_parts_made_of_objects_are_refused_alike(parts, text):
    refused_objects(text, space=Binary(), **parts)


def test_a_net_on_categories_is_refused_in_a_sentence():
    net = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0))
    said = r"energy doesn't take the data's events, which are categorical \(k = 2\) and so int64"
    refused_objects(f"{said}: .* Take an energy that embeds them", space=Categorical(2), energy=net)


def test_chains_of_categories_start_as_whole_numbers():
    class Shift(Flip):
        spaces = (Categorical,)

    refused_objects(
        "should start as torch.int64; got torch.float32",
        space=Categorical(2), sampler=Shift(), loss=gap, chains=lambda x, generator: x.float(),
    )  # fmt: skip


def test_a_loss_may_take_labels_where_there_are_some():
    def maybe(energy, x, y=None):
        return energy(x).mean() * (1 if y is None else 2)

    made = Experiment(data=bits(), energy=Linear(), loss=maybe)
    assert "data.space" in made.warnings[0]
    assert made.dry_run(ebmcore.config.read_train({"steps": 1, "batch_size": 5}))["points"] == 18


def test_a_declaration_of_anything_but_spaces_is_refused():
    with pytest.raises(PluginError, match="`spaces` should list classes"):
        serves("loss", type("Odd", (), {"spaces": ("binary",)}), Real())


def test_a_monitors_check_may_ask_for_space_and_energy():
    seen = []

    class Looks:
        def check(self, event_shape, space=None, *, energy):
            seen.append((event_shape, space, energy))

    made = Experiment(data=bits(), energy=Linear(), loss=plain, space=Binary())
    check_monitor(Looks(), made.data, made.energy)
    check_monitor(plain, made.data, made.energy)
    assert seen == [((3,), Binary(), made.energy)]
