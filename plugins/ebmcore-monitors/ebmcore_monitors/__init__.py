"""Monitors for ebmcore: figures, likelihoods, sampler diagnostics, two-sample tests and advice."""
