"""How freely samples are drawn: more where notes are struck, less while they ring."""

from keras import ops

from style_transfer import piano_roll
from style_transfer.models.wavenet.prediction import held

ATTACK_SECS = 0.04  # so long after an onset noise belongs to the sound


def of_frames(roll, roll_rate, temperature, sustain_temperature):
    """Temperature of the draws in each frame.

    What a net cannot predict it draws, and most of what rings in a string can be predicted: noise
    drawn there is hiss, while an attack is noise itself.

    Args:
        roll: `[batch, frames, 176]`, onsets first.
        roll_rate: Frames per second.
        temperature: In frames with an onset and `ATTACK_SECS` from there on, a number or
            `[batch]`.
        sustain_temperature: In all others, likewise.

    Returns:
        `[batch, frames]`.

    Source: conditional sampling of voiced speech, Jin et al., FFTNet, 2018; here by the notes.
    """
    onsets = ops.max(roll[:, :, :piano_roll.NUM_KEYS], axis=2, keepdims=True)
    struck = held(onsets, round(ATTACK_SECS * roll_rate) - 1)[:, :, 0] > 0
    attack, sustain = (ops.reshape(ops.convert_to_tensor(value, "float32"), (-1, 1))
                       for value in (temperature, sustain_temperature))
    return ops.where(struck, attack, sustain)
