"""The commands, one file each: flags at the top, heavy imports only once they are parsed."""
