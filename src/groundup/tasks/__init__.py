"""Objectives with a head, decoded predictions and metrics."""
