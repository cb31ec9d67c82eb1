"""`earpatch doctor`: everything a node depends on, looked at one after another."""
