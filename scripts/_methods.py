"""What else plays pieces as clips sound: configurations that are told a clip and have weights."""

import dataclasses
import functools

from style_transfer import configs, weights
from style_transfer.models import base


def offered():
    """The `methods` of a `Service` besides the package's default; loaded when asked for."""
    found = {}
    for name in configs.having("generator"):
        config = configs.get(name)
        generator = config.generator()
        needed = {field.name for field in dataclasses.fields(generator.options)
                  if field.default is dataclasses.MISSING}
        there = config.weights in weights.names() or not config.can("training")
        if (generator.transfers and "style" in needed and there
                and config.weights != weights.DEFAULT):
            found[name] = config.description, functools.partial(_loaded, config, generator)
    return found


def _loaded(config, generator):
    return functools.partial(generator.transfer,
                             base.load_weights(config, None, generator.check_model))
