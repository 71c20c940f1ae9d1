"""Vectors replaced by the nearest of a few that are learned."""

import keras
from keras import layers, ops

from style_transfer import replicas

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="style_transfer")
class VectorQuantizer(layers.Layer):
    """Each part of a vector becomes the nearest entry of that part's codebook.

    Gradients pass as if nothing were replaced (straight-through). In training the entries follow
    the mean of the vectors they stand for, as a moving average, the vectors are drawn to their
    entries by a loss (commitment), and entries that hardly stand for any become vectors of the
    batch. All of them do so in the first step, which is how the codebooks begin.

    Args:
        num_codebooks: Equal parts of a vector, each with a codebook of its own.
        num_codes: Entries of a codebook.
        commitment: Weight of the loss that draws vectors to their entries.
        decay: Of the moving averages, for each step.
        dead_share: An entry that stands for less than this share of what it would, were all used
            alike, is dead.
        seed: Of the vectors that take the place of dead entries.

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural discrete representation learning, 2017,
    with appendix A.1 (moving averages); Dhariwal et al., Jukebox, 2020, 3.1 (dead entries).
    """

    def __init__(self, num_codebooks=1, num_codes=512, commitment=0.25, decay=0.99,
                 dead_share=0.05, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.num_codebooks, self.num_codes = num_codebooks, num_codes
        self.commitment, self.decay, self.dead_share = commitment, decay, dead_share
        self.seed = seed
        self.random = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Makes the codebooks.

        Raises:
            ValueError: Vectors do not divide into the codebooks.
        """
        width = input_shape[-1]
        if width % self.num_codebooks:
            raise ValueError(f"Vectors of {width} values do not divide into num_codebooks="
                             f"{self.num_codebooks} equal parts.")
        shape = (self.num_codebooks, self.num_codes)
        self.codebooks = self.add_weight(
            shape=(*shape, width // self.num_codebooks), trainable=False, name="codebooks",
            initializer=keras.initializers.RandomNormal(seed=self.seed), aggregation="mean")
        # How many vectors of a step each entry stands for; none, so all are dead at first.
        self.counts = self.add_weight(shape=shape, trainable=False, name="counts",
                                      initializer="zeros", aggregation="mean")

    def call(self, x, training=False):
        """Quantizes.

        Args:
            x: Shape `[batch, steps, width]`.
            training: Whether the codebooks follow.

        Returns:
            The same shape, made of entries.
        """
        parts = self._parts(ops.stop_gradient(x))
        chosen = ops.one_hot(self._nearest(parts), self.num_codes)
        if training:
            self._follow(parts, chosen)
        entries = ops.matmul(chosen, self.codebooks)
        quantized = ops.reshape(ops.transpose(entries, (1, 0, 2)), ops.shape(x))
        self.add_loss(self.commitment * ops.mean(ops.square(x - ops.stop_gradient(quantized))))
        return x + ops.stop_gradient(quantized - x)

    def codes(self, x):
        """Which entries vectors become.

        Args:
            x: Shape `[batch, steps, width]`.

        Returns:
            int32 `[batch, steps, num_codebooks]`.
        """
        found = ops.transpose(self._nearest(self._parts(x)))
        return ops.reshape(found, (*ops.shape(x)[:2], self.num_codebooks))

    def decode(self, codes):
        """The vectors `[batch, steps, width]` of `codes`."""
        flat = ops.transpose(ops.reshape(codes, (-1, self.num_codebooks)))
        entries = ops.matmul(ops.one_hot(flat, self.num_codes), self.codebooks)
        return ops.reshape(ops.transpose(entries, (1, 0, 2)), (*ops.shape(codes)[:2], -1))

    def _parts(self, x):
        """`[num_codebooks, vectors, width of a part]`."""
        width = self.codebooks.shape[-1]
        return ops.transpose(ops.reshape(x, (-1, self.num_codebooks, width)), (1, 0, 2))

    def _nearest(self, parts):
        # The vector's own square is the same for all entries.
        products = ops.matmul(parts, ops.transpose(self.codebooks, (0, 2, 1)))
        squares = ops.sum(ops.square(self.codebooks), axis=-1)[:, None]
        return ops.argmin(squares - 2 * products, axis=-1)

    def _follow(self, parts, chosen):
        own = ops.shape(parts)[1]
        count = own * replicas.count()
        drawn = keras.random.randint((self.num_codes,), 0, count, seed=self.random)
        place = drawn - own * replicas.place()
        is_own = ops.cast((place >= 0) & (place < own), parts.dtype)[:, None]
        uses, sums, fresh = replicas.total([
            ops.sum(chosen, axis=1), ops.matmul(ops.transpose(chosen, (0, 2, 1)), parts),
            ops.take(parts, ops.clip(place, 0, own - 1), axis=1) * is_own])
        counts = self.decay * self.counts + (1 - self.decay) * uses
        sums = self.decay * self.counts[..., None] * self.codebooks + (1 - self.decay) * sums
        means = sums / (counts[..., None] + _EPSILON)
        even = ops.cast(count, "float32") / self.num_codes
        is_dead = (counts < self.dead_share * even) | (self.counts <= 0)
        self.codebooks.assign(ops.where(is_dead[..., None], fresh, means))
        self.counts.assign(ops.where(is_dead, even, counts))

    def get_config(self):
        """Constructor arguments."""
        names = ("num_codebooks", "num_codes", "commitment", "decay", "dead_share", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def perplexity(counts):
    """How many entries are used, as if those were used alike: between 1 and their number.

    Args:
        counts: How often each entry was chosen, NumPy, `[..., num_codes]`.

    Returns:
        Shape `[...]`.
    """
    import numpy as np

    shares = counts / np.maximum(np.sum(counts, axis=-1, keepdims=True), 1)
    return np.exp(-np.sum(shares * np.log(np.maximum(shares, 1e-12)), axis=-1))
