"""Monitors for ebmcore: what a run looks like while it trains, and how far it is from the truth."""
