"""Predictions and references to numbers with a signature and an interval."""
