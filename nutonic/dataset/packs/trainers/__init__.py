"""Rows, files and tests of trainers: what each reads, in its own form."""
