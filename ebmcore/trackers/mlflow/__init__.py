"""The MLflow tracker: it sends the contents of a run directory to a server."""
