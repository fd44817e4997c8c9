"""The demo of the second recipe: patches of a rendered picture of real ground, described from its map."""
