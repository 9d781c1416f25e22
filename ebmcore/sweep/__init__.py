"""Sweeps: many trials of one config, by workers that share an Optuna study."""

from ebmcore.sweep.session import Checked, Swept, check_sweep, join_sweep, run_sweep

__all__ = ["Checked", "Swept", "check_sweep", "join_sweep", "run_sweep"]
