"""The proof that a tree is whole: every claim of it held against what it follows from."""
