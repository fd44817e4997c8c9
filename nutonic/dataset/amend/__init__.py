"""What is changed in a tree that was committed: damage removed, places opened again, captions said in other words."""
