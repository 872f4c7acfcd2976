"""Drawing on one slice view: the stroke, and the band around it in which voxels may change."""

import vtk

_COLOR = (0.0, 1.0, 1.0)  # no tissue of a colour table has it: seen on black, on white and on segments


class StrokeFeedback:
    """Two actors on a slice view; `points` are kept in RAS, so that zooming and panning move them along."""

    def __init__(self, scriptedEffect, sliceWidget):
        self._effect, self._widget = scriptedEffect, sliceWidget
        self.points, self._radiusMm = [], 0.0
        self._line, self._lineActor = self._actor(3)
        self._band, self._bandActor = self._actor(1)
        for actor in (self._bandActor, self._lineActor):
            scriptedEffect.addActor2D(sliceWidget, actor)

    def show(self, pointsRas, radiusMm):
        """pointsRas: (N, 3), mm; none hides both, one shows a circle."""
        if not len(pointsRas) and not len(self.points):
            return
        self.points, self._radiusMm = list(pointsRas), radiusMm
        self.update()

    def update(self):
        """Draw again where the view shows the points now."""
        from SparseToPreciseLib.mrml.stroke_outline import band, line, pixel_size, points_in_view

        xyToRas = self._widget.mrmlSliceNode().GetXYToRAS()
        points = points_in_view(self.points, xyToRas)
        self._line.ShallowCopy(line(points))
        self._band.ShallowCopy(band(points, self._radiusMm / pixel_size(xyToRas)))
        self._effect.scheduleRender(self._widget)

    def remove(self):
        """Take the actors off the view."""
        for actor in (self._bandActor, self._lineActor):
            self._effect.removeActor2D(self._widget, actor)

    @staticmethod
    def _actor(width):
        data, mapper, actor = vtk.vtkPolyData(), vtk.vtkPolyDataMapper2D(), vtk.vtkActor2D()
        mapper.SetInputData(data)
        mapper.ScalarVisibilityOff()  # the band carries its distance as a scalar
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*_COLOR)
        actor.GetProperty().SetLineWidth(width)
        return data, actor
