"""The benchmark of MR -> CT synthesis."""
