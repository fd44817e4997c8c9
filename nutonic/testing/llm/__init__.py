"""A stand-in for servers of language models: what it takes, what it answers, and how it fails on purpose."""
