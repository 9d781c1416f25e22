"""The sections of `benchmarks/gpu.py`, and how they measure."""
