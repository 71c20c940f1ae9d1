"""The signatures of an exported `DrumsRnn`, as TensorFlow functions.

Tracks are classes of steps, as `symbolic.encodings` makes notes of them.
"""

import tensorflow as tf

from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.checks import require, require_temperature

MAX_STEPS = 4096


class DrumsServing(tf.Module):
    """What an exported `DrumsRnn` can do.

    Args:
        model: The built model.
    """

    def __init__(self, model, **limits):
        del limits  # of pieces and recordings
        super().__init__()
        self.model = model
        self.kept = [variable.value for variable in model.variables]

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        counts = tf.TensorSpec([None], tf.int32)
        return named({"serving_default": (self.generate, {
            "primer": tf.TensorSpec([None, None], tf.int32), "primer_steps": counts,
            "num_steps": counts, "temperature": tf.TensorSpec([None]), "seed": counts})})

    def generate(self, primer, primer_steps, num_steps, temperature, seed):
        """Classes that continue a primer's first `primer_steps`, to `num_steps` in all.

        Rows are padded with -1. Also the log-likelihood of each track at the temperature, nats.
        """
        same_batch(primer, primer_steps, num_steps, temperature, seed)
        longest = tf.reduce_max(tf.concat([num_steps, [0]], axis=0))
        require_temperature(temperature, above_zero=True)
        for good, message in (
                (tf.reduce_all((primer >= 0) & (primer < self.model.num_classes)),
                 f"primer must hold classes from 0 to {self.model.num_classes - 1}."),
                (tf.reduce_all((primer_steps >= 1) & (primer_steps <= tf.shape(primer)[1])),
                 "primer_steps must lie between 1 and the primer's length."),
                (tf.reduce_all((num_steps > primer_steps) & (num_steps <= MAX_STEPS)),
                 f"num_steps must be more than primer_steps and at most {MAX_STEPS}.")):
            require(good, message)

        def one(item):
            classes, likelihood = self._track(*item)
            return tf.pad(classes, [[0, longest - tf.size(classes)]],
                          constant_values=-1), likelihood

        labels, likelihood = each(one, (primer, primer_steps, num_steps, temperature, seed),
                                  (tf.TensorSpec([None], tf.int32), tf.TensorSpec([])))
        return {"labels": labels, "log_likelihood": likelihood}

    def _track(self, primer, primer_steps, num_steps, temperature, seed):
        noise = tf.random.stateless_uniform((num_steps, self.model.num_classes),
                                            tf.stack([seed, 0]), 1e-20, 1.0)
        gumbel = -tf.math.log(-tf.math.log(noise))
        classes = tf.TensorArray(tf.int32, size=num_steps, element_shape=()).write(0, primer[0])
        fixed = self.model.fixed_weights()

        def step(place, last, state, likelihood, classes):
            logits, state = self.model.step(self._features(last, place - 1)[None], state, fixed)
            log_probs = tf.nn.log_softmax(logits[0] / temperature)
            drawn = tf.argmax(log_probs + gumbel[place], output_type=tf.int32)
            given = primer[tf.minimum(place, tf.size(primer) - 1)]
            following = tf.where(place < primer_steps, given, drawn)
            return (place + 1, following, state, likelihood + log_probs[following],
                    classes.write(place, following))

        first = (tf.constant(1), primer[0], self.model.initial_state(1), tf.constant(0.0), classes)
        *_, likelihood, classes = tf.while_loop(lambda place, *_: place < num_steps, step, first,
                                                parallel_iterations=1)
        return classes.stack(), likelihood

    def _features(self, label, place):
        """note-seq's: the class, then a binary counter of the step that follows."""
        bits = tf.range(self.model.input_size - self.model.num_classes)
        counter = tf.bitwise.right_shift(place + 1, bits) % 2
        return tf.concat([tf.one_hot(label, self.model.num_classes),
                          tf.cast(2 * counter - 1, tf.float32)], axis=0)
