"""The loop of an LSTM with attention over time, with a gradient of its own.

As in `recurrence`: the gradients of the weights are products over all steps at once. And what is
compared in a step is compared again in the backward pass instead of being kept, which for a hundred
steps would be more than a hundred times the history.
"""

import typing

import keras
from keras import layers, ops

from style_transfer.layers.recurrence import NUM_GATES


class AttentionWeights(typing.NamedTuple):
    """What a step is computed with, `units` the size of output and memory.

    Attributes:
        kernel: From average and output before the step to the gates, `[2 * units, 4 * units]`.
        query_kernel: From memory and output to the query, `[2 * units, units]`.
        query_bias: Shape `[units]`.
        scale: From what is compared to the scores, `[units]`.
        result_kernel: From output and average to the result, `[2 * units, units]`.
        result_bias: Shape `[units]`.
        key_kernel: From results to keys, `[units, units]`.
    """

    kernel: typing.Any
    query_kernel: typing.Any
    query_bias: typing.Any
    scale: typing.Any
    result_kernel: typing.Any
    result_bias: typing.Any
    key_kernel: typing.Any


class AttentionState(typing.NamedTuple):
    """What a step hands on.

    Attributes:
        output: Of the LSTM, shape `[batch, units]`.
        memory: Likewise.
        attended: Average of the history, `[batch, units]`.
        history: Latest results, oldest first, `[attn_length, batch, units]`.
        keys: What these are compared by; shapes alike.
    """

    output: typing.Any
    memory: typing.Any
    attended: typing.Any
    history: typing.Any
    keys: typing.Any


def attend(gates, state, weights):
    """One step.

    Args:
        gates: What the inputs add to the gates input, forget, candidate and output, shape
            `[batch, 4 * units]`.
        state: The `AttentionState` before it.
        weights: The `AttentionWeights`.

    Returns:
        Result `[batch, units]`, the state after the step,
        and further residuals for the backward pass: the
        gates after their nonlinearities, the query, and how much of the history was heard,
        `[batch, attn_length]`.
    """
    inputs = ops.concatenate([state.attended, state.output], axis=-1)
    i, f, candidate, o = ops.split(gates + ops.matmul(inputs, weights.kernel), NUM_GATES, axis=-1)
    i, f, candidate, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(candidate), ops.sigmoid(o)
    memory = f * state.memory + i * candidate
    output = o * ops.tanh(memory)
    query = ops.matmul(ops.concatenate([memory, output], axis=-1), weights.query_kernel)
    query = query + weights.query_bias
    compared = ops.tanh(state.keys + query)
    heard = ops.softmax(_scores(compared, weights.scale), axis=0)
    attended = ops.sum(heard[..., None] * state.history, axis=0)
    result = ops.matmul(ops.concatenate([output, attended], axis=-1), weights.result_kernel)
    result = result + weights.result_bias
    after = AttentionState(output, memory, attended, _push(state.history, result),
                           _push(state.keys, ops.matmul(result, weights.key_kernel)))
    active = ops.concatenate([i, f, candidate, o], axis=-1)
    return result, after, (active, query, ops.transpose(heard))


def attend_all(gates, state, weights):
    """All steps.

    Args:
        gates: As for `attend`, shape `[batch, steps, 4 * units]`.
        state: The `AttentionState` before the first.
        weights: The `AttentionWeights`.

    Returns:
        Results `[batch, steps, units]` and the `AttentionState` after the last.
    """
    if keras.backend.backend() not in ("tensorflow", "jax"):
        results, _, last = _forward(gates, state, weights)
        return results, AttentionState(*last)
    num_state = len(state)

    @ops.custom_gradient
    def run(gates, *values):
        before, used = AttentionState(*values[:num_state]), AttentionWeights(*values[num_state:])
        results, kept, last = _forward(gates, before, used)

        def gradient(*upstream):
            if len(upstream) == 1:  # JAX gives one tuple
                upstream = upstream[0]
            return _backward(upstream, results, kept, before, used)

        return (results, *last), gradient

    # TensorFlow wants gradients of variables apart, but a view of one is none.
    views = [ops.reshape(value, value.shape) for value in weights]
    results, *last = run(gates, *state, *views)
    return results, AttentionState(*last)


def _scores(compared, scale):
    """`[attn_length, batch, units]` to `[attn_length, batch]`."""
    return ops.matmul(compared, scale[:, None])[..., 0]


def _push(queue, newest):
    return ops.concatenate([queue[1:], newest[None]])


def _forward(gates, state, weights):
    """Results, residuals for the backward pass of all steps, and the last state."""
    def body(gates, state):
        result, after, (active, query, heard) = attend(gates, AttentionState(*state), weights)
        found = [result, active, query, after.memory, after.output, after.attended, heard]
        return ops.concatenate(found, axis=-1), list(after)

    units, attn_length = gates.shape[-1] // NUM_GATES, state.history.shape[0]
    sizes = [units, NUM_GATES * units, units, units, units, units, attn_length]
    found, last = _loop(body, gates, state, sum(sizes))
    results, *kept = _split(found, sizes)
    return results, kept, last


def _backward(upstream, results, kept, before, weights):
    """Gradients of gates, of the state before the first step, and of the weights."""
    d_results, *d_last = upstream
    active, query, memory, output, attended, heard = kept
    units, attn_length = output.shape[-1], heard.shape[-1]
    memory_before = _shift(before.memory, memory)
    i, f, candidate, o = ops.split(active, NUM_GATES, axis=-1)
    squashed = ops.tanh(memory)
    slopes = ops.concatenate([
        candidate * i * (1 - i), memory_before * f * (1 - f), i * (1 - ops.square(candidate)),
        squashed * o * (1 - o)], axis=-1)
    results_first = ops.transpose(results, (1, 0, 2))
    histories = ops.concatenate([before.history, results_first])
    keys = ops.concatenate([before.keys, ops.matmul(results_first, weights.key_kernel)])
    shape = (attn_length, ops.shape(output)[0], units)
    turned = AttentionWeights(*(ops.transpose(value) for value in weights))
    sizes = [units, NUM_GATES * units, units, units, units, attn_length, 1]

    def body(xs, state):
        d_output, d_memory, d_attended, d_history, d_keys, d_scale = state
        above, slope, to_memory, f, query, heard, step = _split(xs, sizes)
        heard = ops.transpose(heard)[..., None]
        start = (ops.cast(step[0, 0], "int32"), 0, 0)
        history, key = (ops.slice(values, start, shape) for values in (histories, keys))
        d_key = d_keys[-1]
        d_result = above + d_history[-1] + ops.matmul(d_key, turned.key_kernel)
        d_joined = ops.matmul(d_result, turned.result_kernel)
        d_output, d_attended = d_output + d_joined[:, :units], d_attended + d_joined[:, units:]
        d_heard = ops.sum(history * d_attended, axis=-1, keepdims=True)
        d_scores = heard * (d_heard - ops.sum(heard * d_heard, axis=0, keepdims=True))
        compared = ops.tanh(key + query)
        d_compared = d_scores * (weights.scale * (1 - ops.square(compared)))
        d_query = ops.sum(d_compared, axis=0)
        d_scale = d_scale + ops.sum(d_scores * compared, axis=(0, 1))
        d_history = _unpush(d_history) + heard * d_attended
        d_keys = _unpush(d_keys) + d_compared
        d_joined = ops.matmul(d_query, turned.query_kernel)
        d_output = d_output + d_joined[:, units:]
        d_memory = d_memory + d_joined[:, :units] + d_output * to_memory
        d_gates = ops.concatenate([d_memory] * 3 + [d_output], axis=-1) * slope
        d_joined = ops.matmul(d_gates, turned.kernel)
        after = [d_joined[:, units:], d_memory * f, d_joined[:, :units], d_history, d_keys, d_scale]
        return ops.concatenate([d_gates, d_query, d_result, d_key], axis=-1), after

    steps = ops.broadcast_to(ops.cast(ops.arange(results.shape[1]), results.dtype)[None, :, None],
                             (*ops.shape(results)[:2], 1))
    to_memory = o * (1 - ops.square(squashed))
    xs = ops.concatenate([d_results, slopes, to_memory, f, query, heard, steps], axis=-1)
    sizes_out = [NUM_GATES * units, units, units, units]
    found, last = _loop(body, ops.flip(xs, axis=1), [*d_last, ops.zeros_like(weights.scale)],
                        sum(sizes_out))
    d_gates, d_query, d_result, d_key = _split(ops.flip(found, axis=1), sizes_out)
    *d_before, d_scale = last
    inputs = ops.concatenate([_shift(before.attended, attended), _shift(before.output, output)],
                             axis=-1)
    return (d_gates, *d_before,
            _product(inputs, d_gates),
            _product(ops.concatenate([memory, output], axis=-1), d_query),
            ops.sum(d_query, axis=(0, 1)), d_scale,
            _product(ops.concatenate([output, attended], axis=-1), d_result),
            ops.sum(d_result, axis=(0, 1)), _product(results, d_key))


def _unpush(queue):
    return ops.concatenate([ops.zeros_like(queue[:1]), queue[:-1]])


def _shift(first, values):
    """What was before each step."""
    return ops.concatenate([first[:, None], values[:, :-1]], axis=1)


def _product(inputs, gradients):
    """Gradient of a kernel that was used in all steps."""
    return ops.matmul(ops.transpose(ops.reshape(inputs, (-1, inputs.shape[-1]))),
                      ops.reshape(gradients, (-1, gradients.shape[-1])))


def _split(values, sizes):
    stops = [sum(sizes[:index + 1]) for index in range(len(sizes) - 1)]
    return ops.split(values, stops, axis=-1)


def _loop(body, xs, state, output_size):
    """`body(x, state)` for all steps of `xs`, `[batch, steps, features]`: outputs, last state.

    `ops.scan` would on TensorFlow keep the state of every step.
    """
    outputs, *last = layers.RNN(_Cell(body, state, output_size), return_sequences=True,
                                return_state=True)(xs, initial_state=list(state))
    return outputs, last


class _Cell(layers.Layer):
    """A step as `keras.layers.RNN` calls it."""

    def __init__(self, body, state, output_size):
        super().__init__()
        self._body = body
        self.state_size = [value.shape[-1] for value in state]
        self.output_size = output_size

    def call(self, x, states, training=False):
        """Output and states after a step."""
        del training
        return self._body(x, list(states))
