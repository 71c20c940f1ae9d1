"""A model family of somebody else: nothing of it is in the package; see docs/adding-a-model.md."""
