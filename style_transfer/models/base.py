"""What a model family brings besides its net: a generator, which makes files with it.

A family's `options.py` holds the generator's options (see `style_transfer.options`) and imports no
Keras, so that `style_transfer_generate --help` is instant.
"""

from style_transfer.options import Options


class Generator:
    """Makes files with a model; `configs.Config.generator` gives one.

    Attributes:
        options: The dataclass of its options.
    """

    options: type = Options

    def check(self, options):
        """Raises what can be said of `options` before Keras is imported.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: An option is wrong.
        """

    def check_model(self, model):
        """Raises ValueError if this generator cannot use `model`."""

    def generate(self, load, options, report):
        """Writes what the options ask for.

        Args:
            load: Called without arguments, gives the model with its weights.
            options: An instance of `self.options`.
            report: Called with a line of text, and `again=True` for lines that replace the last.

        Returns:
            A `files.Summary`.

        Raises:
            FileNotFoundError: An input or the weights are missing.
            ValueError: An option is wrong, or does not fit the model.
        """
        raise ValueError(f"{type(self).__name__} generates nothing.")

    def transfer(self, model, content, style, **options):
        """Plays `content` as it sounds in `style`, for evaluations against known renderings.

        Args:
            model: The model with its weights.
            content: A NoteSequence, or the path of a MIDI file.
            style: The style clip as `audio.load` takes it.
            **options: `style_midi`, its notes as `content` or None, `sample_rate` (Hz), `seed`
                and what else the family takes.

        Returns:
            An `audio.Audio`.

        Raises:
            ValueError: The family plays no content in a style.
        """
        raise ValueError(f"{type(self).__name__} plays no content in the style of a clip.")

    @property
    def transfers(self):
        """Whether the family has `transfer`."""
        return type(self).transfer is not Generator.transfer


def load_weights(config, name_or_path=None, check=None):
    """The model of a configuration with trained weights, or as it is made if it is not trained.

    Args:
        config: A `configs.Config`.
        name_or_path: See `weights.load`; None for the package's.
        check: Called with the model, raises ValueError if it is of another family.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They are of another model.
    """
    from style_transfer import weights

    name = config.weights if name_or_path is None else name_or_path
    if name is None and config.build_model is not None and not config.can("training"):
        model = config.build_model(config.hparams)
        model.build(None)
        model.weights_name = config.name
        return model
    if name is None or (name_or_path is None and name not in weights.names()):
        raise FileNotFoundError(
            f"The package has no weights of {config.name}: train a model (style_transfer_train "
            f"--config={config.name}) or import one (style_transfer_import_checkpoint), and give "
            "its run_dir with --weights.")
    model = weights.load(name, config.package)
    if check is not None:
        try:
            check(model)
        except ValueError as error:
            raise ValueError(f"{name} is not of {config.name}: {error}") from error
    return model


def check_attributes(model, **expected):
    """Raises ValueError unless the model has these attributes with these values."""
    found = {name: getattr(model, name, None) for name in expected}
    if found != expected:
        raise ValueError(f"it is a {type(model).__name__} with {found}, expected {expected}.")


def check_class(model, name):
    """Raises ValueError unless the model is of the class of this name."""
    if type(model).__name__ != name:
        raise ValueError(f"it is a {type(model).__name__}, expected a {name}.")
