"""Facts about data files before anybody has said how they are to be read."""

from ebmcore_datasets.survey.arrays import ArrayFacts, survey_arrays
from ebmcore_datasets.survey.images import ImageFacts, survey_images
from ebmcore_datasets.survey.tables import ColumnFacts, survey_table

__all__ = [
    "ArrayFacts",
    "ColumnFacts",
    "ImageFacts",
    "survey_arrays",
    "survey_images",
    "survey_table",
]
