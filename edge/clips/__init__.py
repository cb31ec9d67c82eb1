"""The sound and the picture of each event, on disk: optional, bounded, never waited for."""
