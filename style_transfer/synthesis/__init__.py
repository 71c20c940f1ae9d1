"""Differentiable synthesis: pure functions of physical controls, in `keras.ops`."""
