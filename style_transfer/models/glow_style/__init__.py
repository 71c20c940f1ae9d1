"""A normalizing flow over log-mel spectrograms, told of content and style."""
