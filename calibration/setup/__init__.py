"""The first run: what a technician is asked, and the configuration that comes of it."""
