"""What lies on disk: model folders and training states."""
