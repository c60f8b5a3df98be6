"""From a decoder to text: one step function, and ways to choose what comes next."""
