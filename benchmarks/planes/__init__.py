"""The benchmark of sparse planes."""
