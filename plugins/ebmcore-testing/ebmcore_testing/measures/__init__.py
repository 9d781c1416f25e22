"""Measurements that suites share: derivatives, laws of samples, memory, side effects."""
