"""Importer of Magenta's Drums RNN, with and without attention."""

from style_transfer.checkpoints.layouts import lstm_entries
from style_transfer.checkpoints.mapping import Entry
from style_transfer.models.drums_rnn.attention_lstm import AttentionLstm

FORGET_BIAS = 1.0


def entries(model, arrays):
    """Where each variable of a `DrumsRnn` comes from.

    Args:
        model: A built `style_transfer.models.drums_rnn.net.DrumsRnn`.
        arrays: The checkpoint.

    Returns:
        A list of `Entry`.
    """
    del arrays
    found = []
    for index, layer in enumerate(model.rnn):
        scope = f"rnn/multi_rnn_cell/cell_{index}"
        found += (_attention(f"{scope}/attention_cell_wrapper", layer)
                  if isinstance(layer, AttentionLstm) else _lstm(scope, layer))
    return [*found, Entry(model.fully_connected.kernel, "fully_connected/weights"),
            Entry(model.fully_connected.bias, "fully_connected/biases")]


def _attention(scope, layer):
    return [*_dense(scope, layer.input_projection), *_lstm(scope, layer.lstm),
            *_dense(f"{scope}/attention", layer.query),
            Entry(layer.key_kernel, f"{scope}/attention/attn_w", lambda array: array[0, 0]),
            Entry(layer.scale, f"{scope}/attention/attn_v"),
            *_dense(f"{scope}/attn_output_projection", layer.output_projection)]


def _lstm(scope, lstm):
    return lstm_entries(lstm, f"{scope}/basic_lstm_cell", forget_bias=FORGET_BIAS)


def _dense(scope, layer):
    return [Entry(layer.kernel, f"{scope}/kernel"), Entry(layer.bias, f"{scope}/bias")]
