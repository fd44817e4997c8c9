"""What keys a recipe has: for editors, and for people."""
