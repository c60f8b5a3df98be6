"""Tensors to tensors: knows no data, no loss, no training."""
