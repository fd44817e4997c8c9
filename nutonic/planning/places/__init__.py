"""Places files of every format, as places."""
