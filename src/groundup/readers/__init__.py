"""Released file formats to plain examples."""
