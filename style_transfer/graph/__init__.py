"""What exported graphs have of their own, in TensorFlow ops that every tensorflow_model_server has.

Nets and what is written in `keras.ops` is traced as it is; what the library computes in NumPy is
traced through `arrays`. Here is the rest: files, protos, requests, errors.
"""
