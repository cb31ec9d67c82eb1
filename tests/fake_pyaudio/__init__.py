"""A scripted stand-in for the module `pyaudio`, for what can't be brought about with real parts."""
