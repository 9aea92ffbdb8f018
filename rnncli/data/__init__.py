"""From files of labelled text to batches of token ids."""
