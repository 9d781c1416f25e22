"""Compiled steps: traced, planned, verified and called."""
