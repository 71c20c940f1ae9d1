"""Importer of Magenta's MusicVAE, flat and hierarchical, with one or several tracks."""

import numpy as np

from style_transfer.checkpoints.layouts import lstm_entries
from style_transfer.checkpoints.mapping import Entry

FORGET_BIAS = 1.0
STEP = "global_step"


def entries(model, arrays):
    """Where each variable of a `MusicVae` comes from.

    Args:
        model: A built `style_transfer.models.music_vae.net.MusicVae`.
        arrays: The checkpoint; without a `global_step` the schedules start anew.

    Returns:
        A list of `Entry`.
    """
    found = []
    for index, layer in enumerate(model.encoder):
        for direction, lstm in (("fw", layer.forward_lstm), ("bw", layer.backward_lstm)):
            found += _lstm(f"encoder/cell_{index}/bidirectional_rnn/{direction}/multi_rnn_cell/"
                           "cell_0", lstm)
    found += _dense("encoder/mu", model.mu) + _dense("encoder/sigma", model.sigma)
    if model.conductor:
        scope = "decoder/hierarchical_level_0"
        found += _dense(f"{scope}/initial_state", model.conductor.initial_state)
        for index, lstm in enumerate(model.conductor.lstms):
            found += _lstm(f"{scope}/cell_{index}", lstm)
    for index, decoder in enumerate(model.decoders):
        found += _decoder(_decoder_scope(model, index), decoder)
    return [*found, _step(model, arrays)]


def _decoder_scope(model, index):
    parts = ["core_decoder"] if model.conductor else []
    parts += [f"core_decoder_{index}"] if len(model.decoders) > 1 else []
    return "/".join([*parts, "decoder"])


def _decoder(scope, decoder):
    found = _dense(f"{scope}/z_to_initial_state", decoder.z_to_initial_state)
    for index, lstm in enumerate(decoder.lstms):
        found += _lstm(f"{scope}/multi_rnn_cell/cell_{index}", lstm)
    return found + _dense(f"{scope}/output_projection", decoder.output_projection)


def _lstm(scope, lstm):
    return lstm_entries(lstm, f"{scope}/lstm_cell", forget_bias=FORGET_BIAS)


def _dense(scope, layer):
    return [Entry(layer.kernel, f"{scope}/kernel"), Entry(layer.bias, f"{scope}/bias")]


def _step(model, arrays):
    if STEP in arrays:
        return Entry(model.step, STEP, lambda step: np.asarray(step, np.int32))
    return Entry(model.step, (), lambda: np.int32(0))
