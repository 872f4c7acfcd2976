"""The segmenter: the object in a box, learnt from boxes alone."""
