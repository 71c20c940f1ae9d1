"""Effects on finished audio."""

import keras
from keras import ops

from style_transfer.synthesis.ddsp import filters


@keras.saving.register_keras_serializable(package="style_transfer")
class Reverb(keras.layers.Layer):
    """Convolution with the impulse response of a room.

    The first tap is the direct sound; it is left out of the response and replaced by the dry
    audio itself, so that a learned response cannot change the overall gain.

    Args:
        learn_impulse_response: Whether the layer owns one response for all audio, as a weight;
            otherwise a response is given with each call.
        reverb_length: Taps of the learned response.
        add_dry: Whether the dry audio is part of the result.
        **kwargs: Those of `keras.layers.Layer`.

    Source: held to ddsp 3.7 `effects.Reverb`.
    """

    def __init__(self, learn_impulse_response: bool = False, reverb_length: int = 48000,
                 add_dry: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.learn_impulse_response = learn_impulse_response
        self.reverb_length = reverb_length
        self.add_dry = add_dry
        self.impulse_response = None
        if learn_impulse_response:
            self.impulse_response = self.add_weight(
                shape=(reverb_length,), initializer=keras.initializers.RandomNormal(stddev=1e-6),
                name="impulse_response",
            )

    def get_controls(self, audio, impulse_response=None):
        """The audio, and the response given or learned.

        Args:
            audio: Dry audio `[batch, samples]`.
            impulse_response: Shape `[taps]`, `[batch, taps]` or `[batch, taps, 1]`; None takes
                the learned one.

        Returns:
            A dict of `audio` and `impulse_response`.

        Raises:
            ValueError: None is given and none is learned.
        """
        if self.learn_impulse_response:
            impulse_response = self.impulse_response
        if impulse_response is None:
            raise ValueError(
                "Reverb was given no impulse response and learns none. Pass impulse_response, or "
                "construct it with learn_impulse_response=True."
            )
        return {"audio": audio, "impulse_response": impulse_response}

    def get_signal(self, audio, impulse_response):
        """Audio in the room, `[batch, samples]`; arguments as in `get_controls`."""
        response = ops.convert_to_tensor(impulse_response)
        if len(response.shape) == 3:
            response = response[:, :, 0]
        if len(response.shape) == 1:
            response = response[None]
        late = ops.pad(response[:, 1:], [[0, 0], [1, 0]])
        wet = filters.fft_convolve(audio, late, padding="same", delay_compensation=0)
        return wet + audio if self.add_dry else wet

    def call(self, audio, impulse_response=None):
        """Audio in the room, `[batch, samples]`; arguments as in `get_controls`."""
        return self.get_signal(**self.get_controls(audio, impulse_response))

    def compute_output_shape(self, audio_shape, *_, **__):
        """Shape of the audio."""
        return audio_shape

    def get_config(self):
        """Arguments of the constructor."""
        names = ("learn_impulse_response", "reverb_length", "add_dry")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
