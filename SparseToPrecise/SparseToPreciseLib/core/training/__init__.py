"""Training, as all families share it: the loop, the recipe, the card, and writing the bundle."""
