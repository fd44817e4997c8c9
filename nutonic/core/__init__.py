"""Values and geometry that everything else is made of; no I/O."""
