"""Plugins that are told of a run and misbehave: the run's record stays true."""

import json

import pytest

import ebmcore
from ebmcore import ConfigError, PluginError, RunInterrupted

HOOK = """
import sys
from ebmcore import hookimpl

@hookimpl
def {hook}({argument}):
    {code}
"""


@pytest.fixture
def told(config, tmp_path):
    """Run the config with a plugin whose hook does something; return the run and its run.json."""

    def go(hook, argument, code):
        file = tmp_path / "hostile.py"
        file.write_text(HOOK.format(hook=hook, argument=argument, code=code))
        config["plugins"]["files"].append(str(file))
        run = ebmcore.run(config, progress=False)
        return run, json.loads((run.dir / "run.json").read_text())

    return go


@pytest.mark.parametrize(
    "code",
    [
        "config['train']['batch_size'] = 1",
        "config.clear()",
        "config['mine'] = object()",
        "config['loss'].append('more')",
        "config['loss'][0] |= {'weight': 2}",
        "config['train'].update(steps=1)",
        "del config['plugins']['files'][0]",
    ],
)
def test_a_hook_that_writes_to_the_config_is_refused(told, code):
    with pytest.raises(PluginError, match=r"ebmcore_configure: TypeError.*config is read-only"):
        told("ebmcore_configure", "config", code)


def test_a_hook_may_change_a_copy_of_the_config(told):
    code = (
        "import copy, json, pickle; own = copy.deepcopy(config); own['loss'].clear(); "
        "own['train'].clear(); pickle.loads(pickle.dumps(config))['loss'].clear(); "
        "copy.copy(config['loss']).clear(); assert json.loads(json.dumps(config)) == config; "
        "assert config['loss']; assert config['train']['batch_size'] == 20"
    )
    assert told("ebmcore_configure", "config", code)[0].status == "FINISHED"


@pytest.mark.parametrize("hook", ["ebmcore_run_start", "ebmcore_run_end"])
@pytest.mark.parametrize(
    "code",
    [
        "run.metrics['note'] = 'hi'",
        "run.status = 'GREAT'",
        "run.energy = None",
        "run.metrics = run.warnings = None",
    ],
)
def test_what_a_hook_writes_to_the_run_is_not_recorded(told, hook, code):
    run, facts = told(hook, "run", code)
    assert run.status == facts["status"] == "FINISHED"
    assert "note" not in facts["metrics"]
    assert run.metrics["loss"] == facts["metrics"]["loss"]
    assert run.sample(3).shape == (3, 2)


@pytest.mark.parametrize("hook", ["ebmcore_run_start", "ebmcore_checkpoint", "ebmcore_run_end"])
def test_a_hook_that_exits_is_reported(told, hook):
    run, facts = told(hook, "run", "sys.exit(0)")
    assert facts["status"] == "FINISHED"
    (warning,) = [w for w in run.warnings if "hostile" in w]
    assert f"raised in {hook}: SystemExit" in warning


def test_a_hook_that_exits_before_the_run_is_an_error(told):
    with pytest.raises(PluginError, match="raised in ebmcore_configure: SystemExit"):
        told("ebmcore_configure", "config", "sys.exit(0)")


@pytest.mark.parametrize("hook", ["ebmcore_checkpoint", "ebmcore_run_end"])
def test_an_interrupt_in_a_hook_leaves_no_run_running(told, hook):
    with pytest.raises(RunInterrupted) as caught:
        told(hook, "run", "raise KeyboardInterrupt")
    facts = json.loads((caught.value.run.dir / "run.json").read_text())
    assert facts["status"] == "KILLED"


def test_text_that_is_no_text_is_logged_all_the_same(told):
    run, facts = told("ebmcore_run_start", "run", "raise ValueError(chr(0xD800))")
    assert facts["status"] == "FINISHED"
    assert "\\ud800" in (run.dir / "log.txt").read_text()


def test_hooks_are_called_in_the_order_that_is_recorded(config, tmp_path):
    marks = {"ddd": "(tryfirst=True)", "bbb": "", "aaa": "(trylast=True)", "ccc": ""}
    for name, mark in marks.items():
        code = f"with open('order.txt', 'a') as f: f.write('{name} ')"
        text = HOOK.format(hook="ebmcore_configure", argument="config", code=code)
        (tmp_path / f"{name}.py").write_text(text.replace("@hookimpl", f"@hookimpl{mark}"))
        config["plugins"]["files"].append(str(tmp_path / f"{name}.py"))
    run = ebmcore.run(config, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    expected = ["ddd", "bbb", "ccc", "aaa"]
    assert facts["hooks"]["ebmcore_configure"] == expected
    assert (tmp_path / "order.txt").read_text().split() == expected


@pytest.mark.parametrize("mark", ["wrapper", "hookwrapper"])
def test_a_wrapper_is_refused_by_name(config, tmp_path, mark):
    text = HOOK.format(hook="ebmcore_run_end", argument="run", code="yield")
    (tmp_path / "wraps.py").write_text(text.replace("@hookimpl", f"@hookimpl({mark}=True)"))
    config["plugins"]["files"].append(str(tmp_path / "wraps.py"))
    with pytest.raises(PluginError, match=r"'wraps' .* invalid: .*ebmcore_run_end is marked as a"):
        ebmcore.run(config, progress=False)


def test_a_hook_may_refuse(told):
    with pytest.raises(ConfigError, match="refused by plugin 'hostile': not today"):
        told("ebmcore_configure", "config", "raise ValueError('not today')")
