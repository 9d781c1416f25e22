"""The trained energy as MLflow loads it: MLmodel files name this module as their loader."""

from ebmcore.runner.mlflow_model.pyfunc import EnergyModel, _load_pyfunc

__all__ = ["EnergyModel", "_load_pyfunc"]
