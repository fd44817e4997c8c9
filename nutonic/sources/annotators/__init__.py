"""Models that write captions, at OpenAI-compatible endpoints; and the answers that were paid for."""
