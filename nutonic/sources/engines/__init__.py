"""Who makes lazy arrays of the assets of items."""
