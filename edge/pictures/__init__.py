"""Sound and evidence as pictures, drawn by Pillow alone."""
