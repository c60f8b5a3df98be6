"""Raw text to token ids; no torch.nn here."""
