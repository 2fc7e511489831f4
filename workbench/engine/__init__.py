"""torch lives here: models, losses, decoding, checkpoints and recipes."""
