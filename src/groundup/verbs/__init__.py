"""What each verb does, as one Python call: the command line is a thin layer over this room."""
