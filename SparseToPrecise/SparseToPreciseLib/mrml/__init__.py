"""Slicer's nodes and files as the library's volumes and points, on the desktop and on slicer-core alike."""
