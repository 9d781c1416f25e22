"""Tables of the dataset `file`: .csv, .tsv and .parquet, read in blocks of rows by pyarrow."""
