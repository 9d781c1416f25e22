"""The parts of `benchmarks/bench.py`: the work, the sides that do it, and how they are timed."""
