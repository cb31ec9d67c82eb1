"""`earpatch status`: a running node at a glance, over a local socket."""
