"""The inference path once more, in TensorFlow ops that every tensorflow_model_server has.

Each function gives what its counterpart of the library gives; tests hold the two together.
"""
