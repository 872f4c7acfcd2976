"""Pictures of results: slices with outlines, one file a family."""
