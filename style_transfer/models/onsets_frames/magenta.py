"""Importer of Magenta's Onsets and Frames, the released MAESTRO model among them."""

from style_transfer.checkpoints.layouts import cudnn_entries, lstm_entries
from style_transfer.checkpoints.mapping import Entry


def entries(model, arrays):
    """Where each variable of an `OnsetsFrames` comes from.

    The LSTMs are read in either form that Magenta's trainings have saved: the kernels and biases
    of single cells, or cuDNN's opaque vector.

    Args:
        model: A built `style_transfer.models.onsets_frames.net.OnsetsFrames`.
        arrays: The checkpoint.

    Returns:
        A list of `Entry`.
    """
    found = []
    for scope, stack, head, head_name in (
            ("onsets", model.onsets, model.onset_probs, "onset_probs"),
            ("offsets", model.offsets, model.offset_probs, "offset_probs"),
            ("velocity", model.velocity, model.onset_velocities, "onset_velocities"),
            ("frame", model.frame, model.activation_probs, "activation_probs")):
        if scope == "onsets" or stack is not model.onsets:
            found += _stack(scope, stack, arrays)
        found += _dense(f"{scope}/{head_name}", head)
    return (found + _lstms("frame/cudnn_lstm", model.combined, arrays)
            + _dense("frame/frame_probs", model.frame_probs))


def _stack(scope, stack, arrays):
    found = []
    for index, block in enumerate(stack.convs):
        norm = f"{scope}/conv{index}/BatchNorm"
        found += [Entry(block.conv.kernel, f"{scope}/conv{index}/weights"),
                  Entry(block.norm.beta, f"{norm}/beta"),
                  Entry(block.norm.moving_mean, f"{norm}/moving_mean"),
                  Entry(block.norm.moving_variance, f"{norm}/moving_variance")]
    return (found + _dense(f"{scope}/fc_end", stack.fc_end)
            + _lstms(f"{scope}/cudnn_lstm", stack.lstms, arrays))


def _dense(scope, layer):
    return [Entry(layer.kernel, f"{scope}/weights"), Entry(layer.bias, f"{scope}/biases")]


def _lstms(scope, layers, arrays):
    pairs = [(layer.forward_layer.cell, layer.backward_layer.cell) for layer in layers]
    if pairs and f"{scope}/opaque_kernel" in arrays:
        return cudnn_entries(pairs, f"{scope}/opaque_kernel")
    return [entry for index, pair in enumerate(pairs)
            for direction, cell in zip(("fw", "bw"), pair, strict=True)
            for entry in lstm_entries(
                cell, f"{scope}/stack_bidirectional_rnn/cell_{index}/bidirectional_rnn/"
                      f"{direction}/cudnn_compatible_lstm_cell")]
