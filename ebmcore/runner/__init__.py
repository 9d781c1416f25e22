"""The runner: it builds an experiment from a config, trains it and records the run."""
