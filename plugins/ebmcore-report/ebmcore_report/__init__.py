"""Reports of runs: one HTML page that holds everything it shows and needs no network."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_report.report import Report as Report
    from ebmcore_report.report import write_report as write_report

__all__ = ["Report", "write_report"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ebmcore_report import report

    return getattr(report, name)
