"""Convergence of chains: the monitor and its plots."""
