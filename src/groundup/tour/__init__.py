"""The quickstart: what the toolkit is for, shown in minutes, then done with the user's own text and labels."""
