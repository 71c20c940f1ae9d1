"""Parts of graphs that are made once for all signatures and models of a process."""

import functools

import tensorflow as tf


def traced_once(*specs):
    """Turns a function into one whose graph is made at the first call, for whoever calls it.

    Making the graph of a reader of files takes longer than reading one.

    Args:
        *specs: `TensorSpec`s of its first arguments. Any others are plain values, for each of which
            there is a graph of its own.
    """
    def decorate(function):
        @functools.cache
        def graph_of(*values):
            return tf.function(lambda *tensors: function(*tensors, *values), autograph=False,
                               input_signature=specs)

        @functools.wraps(function)
        def call(*arguments):
            return graph_of(*arguments[len(specs):])(*arguments[:len(specs)])

        return call

    return decorate
