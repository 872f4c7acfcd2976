"""The ground of every model family: volumes, devices, model bundles, progress, files. No Slicer, no Qt."""
