"""The only place with a loop."""
