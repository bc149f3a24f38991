"""What goes with an image: what is in it, where it came from, and who says so."""
