"""The learning rate that Magenta trains MusicVAE with."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="style_transfer")
class DecayToMinimum(keras.optimizers.schedules.LearningRateSchedule):
    """Exponential decay of a learning rate to a least one.

    Args:
        initial: Rate of the first step.
        minimum: What it comes near in the end.
        decay_rate: What is left of the distance to it after each step.
    """

    def __init__(self, initial, minimum, decay_rate):
        super().__init__()
        if not (0 <= minimum <= initial and 0 < decay_rate <= 1):
            raise ValueError("A learning rate decays from learning_rate to min_learning_rate by "
                             "decay_rate, at most 1 and more than 0; got "
                             f"{initial}, {minimum}, {decay_rate}.")
        self.initial, self.minimum, self.decay_rate = initial, minimum, decay_rate

    def __call__(self, step):
        """Learning rate of the update that follows `step` updates."""
        left = ops.power(self.decay_rate, ops.cast(step, "float32"))
        return (self.initial - self.minimum) * left + self.minimum

    def get_config(self):
        """Constructor arguments."""
        return {"initial": self.initial, "minimum": self.minimum, "decay_rate": self.decay_rate}
