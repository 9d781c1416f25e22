"""The MLflow model of a run: its weights, config and plugin names, without pickle."""
