"""The benchmark of scribble editing."""
