"""The benchmark of loose boxes."""
