"""The MLflow tracker: it sends to a server what a run directory holds."""
