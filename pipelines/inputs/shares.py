"""Which examples of a batch a worker makes, so that all together train on those of one."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Share:
    """A worker's part of each batch of an order of examples that all workers share.

    Attributes:
        batch_size: Examples of a batch, over all replicas.
        first: Place in a batch of the worker's first example.
        size: How many it makes of each batch, one after the other.
        replica_size: How many of these are for one replica: a batch of what it gives.
    """

    batch_size: int
    first: int
    size: int
    replica_size: int

    @classmethod
    def of(cls, batch_size: int, context=None) -> "Share":
        """The share of the worker that a `tf.distribute.InputContext` tells of; None takes all.

        Raises:
            ValueError: The batch does not divide by the replicas, or these by the workers.
        """
        if context is None:
            return cls(batch_size, 0, batch_size, batch_size)
        replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
        if batch_size % replicas or replicas % workers:
            raise ValueError(f"batch_size={batch_size} does not divide evenly by the {replicas} "
                             f"devices of {workers} workers that train.")
        size = batch_size // workers
        return cls(batch_size, context.input_pipeline_id * size, size, batch_size // replicas)

    def place(self, number):
        """Place in the common order of the worker's example `number`, an integer or tensor."""
        return number // self.size * self.batch_size + self.first + number % self.size

    def count(self, total: int) -> int:
        """How many of the first `total` places are the worker's."""
        rest = min(max(total % self.batch_size - self.first, 0), self.size)
        return total // self.batch_size * self.size + rest
