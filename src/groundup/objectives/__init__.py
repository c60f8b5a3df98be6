"""Corruption and loss, one objective a file."""
