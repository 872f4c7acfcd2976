"""What every model family rests on: volumes, devices, model bundles, progress, files. No Slicer, no Qt."""
