"""The slice views: one volume over another."""

import slicer


def showOver(image, overlay, opacity):
    """Show a volume over an image in all slice views, which are only fitted to an image that they did not show."""
    background = "keep-current" if image is None else image
    fit = image is not None and not _isLayer("Background", image)
    slicer.util.setSliceViewerLayers(background=background, foreground=overlay, foregroundOpacity=opacity, fit=fit)


def setOpacity(overlay, opacity):
    """How much of a volume is seen over the image, where it is what lies over it."""
    if overlay is not None and _isLayer("Foreground", overlay):
        slicer.util.setSliceViewerLayers(foregroundOpacity=opacity)


def _isLayer(layer, node):
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return any(getattr(view, f"Get{layer}VolumeID")() == node.GetID() for view in views)
