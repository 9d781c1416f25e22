"""Time series: the dataset `time_series`, and the .ts files of the UCR and UEA archives."""
