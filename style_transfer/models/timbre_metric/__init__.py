"""How differently two clips sound, whatever they play: a triplet network, for evaluations."""
