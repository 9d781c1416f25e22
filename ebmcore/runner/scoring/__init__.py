"""Scores of new points: their energy, the norm of its gradient, and how unusual that energy is."""

from ebmcore.runner.scoring.file_like import file_like
from ebmcore.runner.scoring.new_points import NewPoints, points_given, points_of
from ebmcore.runner.scoring.run_data import RunData
from ebmcore.runner.scoring.scorer import Scorer, Scores
from ebmcore.runner.scoring.table import ScoreTable, write_scores

__all__ = [
    "NewPoints",
    "RunData",
    "ScoreTable",
    "Scorer",
    "Scores",
    "file_like",
    "points_given",
    "points_of",
    "write_scores",
]
