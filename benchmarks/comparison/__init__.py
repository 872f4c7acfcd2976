"""The benchmark of comparisons."""
