"""Reports of runs: one HTML page that holds everything it shows and needs no network."""

from ebmcore_report.report import Report, write_report

__all__ = ["Report", "write_report"]
