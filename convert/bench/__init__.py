"""`earpatch bench`: how fast and how large earpatch is, beside its peers on the same machine."""
