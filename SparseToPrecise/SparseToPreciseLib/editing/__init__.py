"""Scribble editing: one stroke where the boundary should run; the segmentation follows it nearby, and only there.

After Shahin, Zhuang and El-Zehiry, "From Sparse to Precise: A Practical Editing Approach for Intracardiac
Echocardiography Segmentation" (2023), with the changes that docs/editing.md lists.
"""
