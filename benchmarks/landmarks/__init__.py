"""The benchmark of one-shot landmarks."""
