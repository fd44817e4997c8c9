"""From pixels to chips, in pure functions: pictures, masks and regions."""
