"""Two segmentations compared: what differs, how much, and where to look. The home of measures that families share.

It needs no model and no training, and imports no PyTorch: `compare.compare` is its verb, each other file one measure.
"""
