"""Events out: what is said, kept until it has arrived, and how it travels."""
