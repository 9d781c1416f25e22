"""Warnings about settings that don't suit the run's length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

_FIRST_WEIGHTS = 0.05  # share of the first step's weights in the average, above which to warn
_SHARE = 0.2  # of a run's time, above which a monitor is slow
_SLOW = 5.0  # seconds below which no monitor is slow


def slow_average(decay: float | None, steps: int) -> Iterator[str]:
    """Warn when the first weights still have a share in the average at the end."""
    if decay is None or decay**steps <= _FIRST_WEIGHTS:
        return
    fits = 1 - float(f"{1 - _FIRST_WEIGHTS ** (1 / steps):.2g}")
    yield (
        f"train.ema {decay} is slow for {steps} steps: {decay**steps:.0%} of the averaged "
        f"weights will be the first step's; {fits:g} would fit"
    )


def slow_monitors(seconds: Mapping[str, float], whole: float) -> Iterator[str]:
    """Warn about monitors that took more than 20 % of a run's seconds, and more than 5 s."""
    for name, took in seconds.items():
        if took > max(_SLOW, _SHARE * whole):
            yield (
                f"monitor {name!r} took {took:.0f} of {whole:.0f} s; a longer `every` makes "
                "the run quicker"
            )


def untimely(
    metrics: Mapping[str, float], best: str, lr_metric: str | None, said: Sequence[str]
) -> Iterator[str]:
    """Warn once of metrics that the run follows and a callback logs outside of on_metrics."""
    for key, name in (("train.keep_best", best), ("lr_scheduler", lr_metric)):
        text = (
            f"{key} follows {name!r} only where a callback logs it in on_metrics, since the ranks "
            "of a run agree on nothing else that is logged; it was logged elsewhere"
        )
        if name in metrics and text not in said:
            yield text
