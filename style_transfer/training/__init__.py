"""Training: runs that resume, on one device or many, on any backend of Keras.

`train` and `evaluate` work on a `configs.Config`; the other names are what configurations and
tools build on.
"""

from style_transfer.training.checkpoints import (
    CheckpointNotWrittenError,
    DamagedCheckpointError,
    load_weights,
)
from style_transfer.training.interruption import TrainingStopped, WorkerLostError
from style_transfer.training.monitor import TrainingDivergedError
from style_transfer.training.optimizers import GuardedAdam, WarmupDecay, build_optimizer
from style_transfer.training.trainer import TrainOptions, evaluate, train

__all__ = [
    "CheckpointNotWrittenError",
    "DamagedCheckpointError",
    "GuardedAdam",
    "TrainOptions",
    "TrainingDivergedError",
    "TrainingStopped",
    "WarmupDecay",
    "WorkerLostError",
    "build_optimizer",
    "evaluate",
    "load_weights",
    "train",
]
