"""What a run warns of though nothing went wrong: settings that don't fit how long it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_FIRST_WEIGHTS = 0.05  # the share of the first step's weights in an average that is worth a warning
_SHARE = 0.2  # of a run's time, beyond which a monitor is called slow
_SLOW = 5.0  # seconds below which none is


def slow_average(decay: float | None, steps: int) -> Iterator[str]:
    """Warn of an average so slow that the first weights are still in it at the end."""
    if decay is None or decay**steps <= _FIRST_WEIGHTS:
        return
    fits = 1 - float(f"{1 - _FIRST_WEIGHTS ** (1 / steps):.2g}")
    yield (
        f"train.ema {decay} is slow for {steps} steps: {decay**steps:.0%} of the averaged "
        f"weights will be the first step's; {fits:g} would fit"
    )


def slow_monitors(seconds: Mapping[str, float], whole: float) -> Iterator[str]:
    """Warn of monitors that took more than their share of a run that took a while, in seconds."""
    for name, took in seconds.items():
        if took > max(_SLOW, _SHARE * whole):
            yield (
                f"monitor {name!r} took {took:.0f} of {whole:.0f} s; a longer `every` makes "
                "the run quicker"
            )
