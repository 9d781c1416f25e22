"""Base classes and mathematics of datasets with a known density: `log_prob`, entropy, noise."""
