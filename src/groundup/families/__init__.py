"""One published family a file: values and names, no modules."""
