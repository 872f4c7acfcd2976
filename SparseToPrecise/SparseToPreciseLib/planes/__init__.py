"""Sparse planes: a segmentation that was painted on a few planes becomes that of the volume.

Without a model and without training: `fill.fill` is the verb, `suggest.suggest_plane` says which plane to paint next.
"""
