"""What simple methods reach, to set a trained network beside: arrays and lists in, figures out, no files."""
