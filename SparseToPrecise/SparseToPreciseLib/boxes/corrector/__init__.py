"""The corrector: a loose box is tightened slice by slice."""
