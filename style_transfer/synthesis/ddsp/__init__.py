"""DDSP's synthesis in `keras.ops`, held to the original package's numbers."""
