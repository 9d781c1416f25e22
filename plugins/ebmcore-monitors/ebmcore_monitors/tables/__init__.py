"""Pictures of tables: each column, pairs of columns, and the first two principal components."""
