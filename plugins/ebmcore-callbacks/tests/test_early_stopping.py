"""Early stopping, step by step, and as a run and its resumes decide it."""

import math

import pytest
from ebmcore_callbacks import EarlyStopping

NAN, INF = math.nan, math.inf


def stops_at(callback, run, values):
    """Return the number of the record after which the run is stopped, from 1; None: never."""
    for number, value in enumerate(values, 1):
        callback.on_metrics(run, 10 * number, {"loss": value, "other": 0.0})
        if run.reasons:
            return number
    return None


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        ({"patience": 2}, [3, 2, 1, 1, 1], 5),  # equal is no improvement
        ({"patience": 2}, [3, 4, 2, 3, 1.9, 5, 5], 7),
        ({"patience": 1}, [3, 2, 1, 0], None),
        ({"patience": 2, "mode": "max"}, [1, 2, 3, 2, 3], 5),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.5, 2.4, 2.4], None),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.5, 2.5], 3),  # by 0.5 exactly is none
        ({"patience": 2, "min_delta": 0.5, "mode": "max"}, [1, 1.6, 2.0, 2.1], 4),
        ({"patience": 3}, [NAN, INF, -INF], 3),
        ({"patience": 2}, [NAN, 1, NAN, 0.5, NAN, -INF], 6),
    ],
)
def test_it_stops_after_patience_records(run, keys, values, expected):
    assert stops_at(EarlyStopping(metric="loss", **keys), run, values) == expected


def test_the_reason_names_the_best_record(run):
    stops_at(EarlyStopping(metric="loss", patience=2), run, [3, 1.25, 2, NAN])
    (reason,) = run.reasons
    assert reason == "loss did not improve in 2 records: best 1.25 at step 20, nan now"
    run.reasons.clear()
    stops_at(EarlyStopping(metric="loss", patience=1), run, [NAN])
    assert run.reasons == ["loss did not improve in 1 records: no finite value so far, nan now"]


def test_a_metric_that_never_came_is_a_warning(run):
    callback = EarlyStopping(metric="los")
    callback.on_metrics(run, 1, {"loss": 1.0})
    run.metrics = {"loss": 1.0, "train/lr": 0.1}
    callback.on_end(run, "FAILED")
    assert run.warnings == []
    callback.on_end(run, "FINISHED")
    (warning,) = run.warnings
    assert "no metric 'los' was recorded" in warning
    assert "did you mean 'loss'? there are: loss, train/lr" in warning


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="should name a metric"):
        EarlyStopping(metric=" ")


def test_a_config_stops_early_and_says_why(tmp_path):
    import ebmcore

    config = {
        "data": {"type": "two_spirals", "n": 400},
        "energy": {"type": "mlp", "hidden": [8]},
        "loss": {"type": "denoising_score_matching", "sigma": 0.3},
        "optimizer": {"type": "SGD", "lr": 1e-9},
        "train": {"steps": 200, "batch_size": 100, "log_every": 5, "checkpoint_every": "5 steps"},
        "callbacks": [
            {"type": "early_stopping", "metric": "loss", "patience": 2, "min_delta": 100.0}
        ],
        "tracking": "off",
    }
    run = ebmcore.run(config, progress=False)
    assert (run.status, run.step) == ("FINISHED", 15)
    assert run.stopped.startswith("loss did not improve in 2 records: best ")
    config["callbacks"] = [{"type": "early_stopping", "patience": 0}]
    with pytest.raises(ebmcore.ConfigError) as caught:
        ebmcore.run(config, progress=False)
    assert {p.path for p in caught.value.problems} == {
        "callbacks.0.metric", "callbacks.0.patience",
    }  # fmt: skip
