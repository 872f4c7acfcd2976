"""The line and the band of a stroke, in the pixels of a slice view."""

from __future__ import annotations

import numpy as np
import vtk

from .volumes import fill_image, matrix_to_array

_CELLS = 96
"""Cells along the longer side of the grid on which the distance to the stroke is sampled."""

_MOST_POINTS = 150
"""Points of the line that the band is made from; with more the pointer would lag."""


def points_in_view(stroke_ras: np.ndarray, xy_to_ras: vtk.vtkMatrix4x4) -> np.ndarray:
    """(N, 2) pixels of (N, 3) RAS points, by a slice node's XYToRAS."""
    ras_to_xy = np.linalg.inv(matrix_to_array(xy_to_ras))
    points = np.asarray(stroke_ras, dtype=np.float64).reshape(-1, 3)
    return points @ ras_to_xy[:2, :3].T + ras_to_xy[:2, 3]


def pixel_size(xy_to_ras: vtk.vtkMatrix4x4) -> float:
    """mm per pixel of a slice view."""
    return float(np.linalg.norm(matrix_to_array(xy_to_ras)[:3, 0]))


def line(points: np.ndarray) -> vtk.vtkPolyData:
    """A line through (N, 2) pixels."""
    out, places, cells = vtk.vtkPolyData(), vtk.vtkPoints(), vtk.vtkCellArray()
    if len(points) > 1:
        cells.InsertNextCell(len(points))
        for x, y in points:
            cells.InsertCellPoint(places.InsertNextPoint(float(x), float(y), 0.0))
    out.SetPoints(places)
    out.SetLines(cells)
    return out


def band(points: np.ndarray, radius: float) -> vtk.vtkPolyData:
    """The outline of all that is within a radius (pixels) of a line through (N, 2) pixels; one point gives a circle."""
    points = np.asarray(points, dtype=np.float64)
    if len(points) == 0 or not radius > 0:
        return vtk.vtkPolyData()
    points = points[np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))]
    low, high = points.min(axis=0) - 1.1 * radius, points.max(axis=0) + 1.1 * radius
    # Fine enough for the radius too, where the line is long.
    step = min(float((high - low).max()) / _CELLS, radius / 6)
    size = np.ceil((high - low) / step).astype(int) + 1
    y, x = (low[axis] + step * np.arange(size[axis], dtype=np.float32) for axis in (1, 0))
    squared = np.full((len(y), len(x)), np.inf, dtype=np.float32)
    starts, stops = (points[:-1], points[1:]) if len(points) > 1 else (points, points)
    for start, stop in zip(starts, stops, strict=True):
        along = stop - start
        length = float(along @ along)
        dx, dy = x[None, :] - np.float32(start[0]), y[:, None] - np.float32(start[1])
        share = np.clip((dx * along[0] + dy * along[1]) / length, 0, 1) if length else 0.0
        np.minimum(squared, (dx - share * along[0]) ** 2 + (dy - share * along[1]) ** 2, out=squared)
    image = vtk.vtkImageData()
    image.SetOrigin(*low, 0.0)
    image.SetSpacing(step, step, 1.0)
    fill_image(image, np.sqrt(squared)[None])
    contour = vtk.vtkMarchingSquares()
    contour.SetInputData(image)
    contour.SetValue(0, radius)
    contour.Update()
    return contour.GetOutput()
