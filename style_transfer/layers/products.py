"""Layers that multiply matrices of their own, in the type that a training computes in."""

from keras import layers, ops


class ProductLayer(layers.Layer):
    """A layer whose products with its weights are made by `multiply`.

    Attributes:
        product_dtype: What the factors are rounded to, set by `training.precision.lower`; products
            are float32 in any case.
    """

    product_dtype = "float32"

    def multiply(self, x, kernel, product=ops.matmul):
        """The product of inputs and weights."""
        if self.product_dtype == "float32":
            return product(x, kernel)
        x, kernel = (ops.cast(factor, self.product_dtype) for factor in (x, kernel))
        return ops.cast(product(x, kernel), "float32")
