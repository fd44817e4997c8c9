"""What a chip is put into: rows that a model is trained on, and the sidecar beside the picture."""
