"""Real anatomy to train on: label maps and images of a folder, deformed, cropped and with random looks.

What a folder holds stands in its table (`table`); `cases` draws from it what a family trains on.
"""
