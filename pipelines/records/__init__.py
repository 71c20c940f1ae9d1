"""TFRecord files and the records in them, without TensorFlow."""
