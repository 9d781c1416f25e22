"""Data: from a dataset's result to the tensors that a run trains on."""

from ebmcore.data.precision import name_of, refuse_lost_digits, row_and_column, whole_number_lost

__all__ = ["name_of", "refuse_lost_digits", "row_and_column", "whole_number_lost"]
