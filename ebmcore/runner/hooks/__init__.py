"""Calls of plugins' hooks, and a run's events told to them."""
