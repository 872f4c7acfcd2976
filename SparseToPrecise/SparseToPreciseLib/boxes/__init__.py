"""Loose boxes: tightened around the object, and segmented from boxes alone."""
