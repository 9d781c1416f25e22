"""Words of the field lead to what has another name here, and to nothing that isn't there."""

from dataclasses import fields

import pytest

from ebmcore import Host, PluginError
from ebmcore.cli.plugin_commands.offers import missing_command
from ebmcore.config import Train
from ebmcore.plugins import distribution_of
from ebmcore.plugins.aliases import keys_called, names, part_called
from ebmcore.plugins.names import CORE_COMMANDS
from ebmcore.plugins.suggestions import KNOWN_COMMANDS


def test_every_alias_leads_somewhere():
    torchs = {c.name for c in Host(()).components("lr_scheduler")}
    for kind, table in names()["parts"].items():
        for name, others in table.items():
            assert distribution_of(kind, name) or name in torchs, (kind, name)
            assert not [o for o in others.split() if distribution_of(kind, o)], (kind, name)
    own = {field.name for field in fields(Train)}
    assert {key.partition(".")[2] for key in names()["keys"] if key.startswith("train.")} <= own
    there = {*CORE_COMMANDS, *KNOWN_COMMANDS}
    assert set(names()["commands"]) <= there
    assert not set(" ".join(names()["commands"].values()).split()) & there


@pytest.mark.parametrize(
    ("kind", "word", "name"),
    [
        ("sampler", "sgld", "langevin"), ("sampler", "ULA", "langevin"),
        ("sampler", "Hamiltonian Monte-Carlo", "hmc"), ("loss", "cd", "contrastive_divergence"),
        ("loss", "pcd", "contrastive_divergence"), ("chains", "pcd", "persistent"),
        ("loss", "dsm", "denoising_score_matching"), ("loss", "ism", "score_matching"),
        ("loss", "nce", "noise_contrastive"), ("dataset", "csv", "file"),
        ("transform", "normalize", "standardise"), ("lr_scheduler", "cosine", "CosineAnnealingLR"),
    ],
)  # fmt: skip
def test_words_of_the_field_lead_to_parts(kind, word, name):
    assert part_called(kind, word, []) == (None if name.endswith("LR") else name)
    assert part_called(kind, word, [name]) == name
    assert part_called(kind, "xyz", [name]) is None


def test_an_unknown_part_names_it_and_what_to_install():
    with pytest.raises(PluginError) as caught:
        Host(()).find("sampler", "sgld")
    assert str(caught.value) == (
        "no sampler 'sgld'. Did you mean 'langevin'? Installed: none. "
        "Install it with: pip install ebmcore-langevin"
    )
    with pytest.raises(PluginError, match=r"'cosine'. Did you mean 'CosineAnnealingLR'"):
        Host(()).find("lr_scheduler", "cosine")


def test_keys_of_a_place_come_before_those_of_the_config():
    assert keys_called("learning-rate") == ["lr", "optimizer.lr"]
    assert keys_called("nothing") == []


def test_words_of_the_field_lead_to_commands():
    host = Host(())
    assert missing_command(host, "", "train") == "no command 'train'. Did you mean 'run'?"
    assert missing_command(host, "", "init") == (
        "no command 'init'. Did you mean 'new'? Install it with: pip install ebmcore-new"
    )
    assert missing_command(host, "runs", "train") == ""
