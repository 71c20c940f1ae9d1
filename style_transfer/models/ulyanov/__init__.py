"""Style transfer by optimization: a spectrogram with one clip's features and others' statistics."""
