"""One-shot landmarks: from one annotated image to the same landmarks on every other (Wang et al., 2021)."""
