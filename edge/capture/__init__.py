"""Sound in: where it comes from, and whether it is worth hearing."""
