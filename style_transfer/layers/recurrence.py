"""The loop of an LSTM over time, with a gradient of its own.

Backpropagation through a loop adds up the gradient of the recurrent kernel step by step, which for
small batches takes longer than all else. Here it is one product over all steps.
"""

import keras
from keras import ops

NUM_GATES = 4


def recur(gates, kernel, output, memory, keep=None, reverse=False):
    """All steps of an LSTM.

    Args:
        gates: What inputs and bias add to the gates input, forget, candidate and output, shape
            `[steps, batch, 4 * units]`.
        kernel: From the output before to the gates, shape `[units, 4 * units]`.
        output: Before the first step, shape `[batch, units]`.
        memory: Likewise.
        keep: 1 for steps that change the state and 0 for others, shape `[steps, batch, 1]`; None
            for all.
        reverse: Whether it goes from the last step to the first.

    Returns:
        Outputs `[steps, batch, units]`, and output and memory after the last step.
    """
    masks = () if keep is None else (keep,)
    if keras.backend.backend() not in ("tensorflow", "jax"):
        outputs, _, _, last = _forward(gates, kernel, output, memory, masks, reverse)
        return (outputs, *last)

    @ops.custom_gradient
    def run(gates, kernel, output, memory, *masks):
        outputs, memories, active, last = _forward(gates, kernel, output, memory, masks, reverse)

        def gradient(*upstream):
            if len(upstream) == 1:  # JAX gives one tuple
                upstream = upstream[0]
            found = _backward(upstream, kernel, _before(outputs, output, reverse),
                              _before(memories, memory, reverse), memories, active, masks, reverse)
            return (*found, *(ops.zeros_like(mask) for mask in masks))

        return (outputs, *last), gradient

    # TensorFlow wants gradients of variables apart, but a view of one is none.
    return run(gates, ops.reshape(kernel, kernel.shape), output, memory, *masks)


def _forward(gates, kernel, output, memory, masks, reverse):
    """Outputs, memories and gates after their nonlinearities of all steps, and the last state."""
    def body(carry, xs):
        output, memory, _ = carry
        i, f, candidate, o = ops.split(xs[0] + ops.matmul(output, kernel), NUM_GATES, axis=-1)
        i, f, candidate, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(candidate), ops.sigmoid(o)
        new_memory = f * memory + i * candidate
        new_output = o * ops.tanh(new_memory)
        if masks:
            new_output = xs[1] * new_output + (1 - xs[1]) * output
            new_memory = xs[1] * new_memory + (1 - xs[1]) * memory
        new = [new_output, new_memory, ops.concatenate([i, f, candidate, o], axis=-1)]
        return new, new

    # On TensorFlow what a step gives has the shapes of what it hands on.
    carry = [output, memory, ops.zeros_like(gates[0])]
    last, (outputs, memories, active) = ops.scan(body, carry, [gates, *masks], reverse=reverse)
    return outputs, memories, active, tuple(last[:2])


def _backward(upstream, kernel, outputs_before, memories_before, memories, active, masks, reverse):
    """Gradients of gates, kernel, and the state before the first step."""
    d_outputs, d_output, d_memory = upstream
    i, f, candidate, o = ops.split(active, NUM_GATES, axis=-1)
    squashed = ops.tanh(memories)
    slopes = ops.concatenate([
        candidate * i * (1 - i), memories_before * f * (1 - f), i * (1 - ops.square(candidate)),
        squashed * o * (1 - o)], axis=-1)
    to_memory = o * (1 - ops.square(squashed))
    turned = ops.transpose(kernel)

    def body(carry, xs):
        d_output, d_memory, _ = carry
        above, slope, to_memory, f = xs[:4]
        d_output = d_output + above
        inner_output = d_output * xs[4] if masks else d_output
        inner_memory = d_memory * xs[4] if masks else d_memory
        inner_memory = inner_memory + inner_output * to_memory
        d_gates = ops.concatenate([inner_memory] * 3 + [inner_output], axis=-1) * slope
        new_output, new_memory = ops.matmul(d_gates, turned), inner_memory * f
        if masks:
            new_output = new_output + d_output * (1 - xs[4])
            new_memory = new_memory + d_memory * (1 - xs[4])
        new = [new_output, new_memory, d_gates]
        return new, new

    carry = [d_output, d_memory, ops.zeros_like(slopes[0])]
    xs = [d_outputs, slopes, to_memory, f, *masks]
    (d_output, d_memory, _), (_, _, d_gates) = ops.scan(body, carry, xs, reverse=not reverse)
    units = kernel.shape[0]
    d_kernel = ops.matmul(ops.transpose(ops.reshape(outputs_before, (-1, units))),
                          ops.reshape(d_gates, (-1, NUM_GATES * units)))
    return d_gates, d_kernel, d_output, d_memory


def _before(values, first, reverse):
    """What was before each step."""
    if reverse:
        return ops.concatenate([values[1:], first[None]])
    return ops.concatenate([first[None], values[:-1]])
