"""The errors that a person can do something about."""


class EarpatchError(Exception):
    """What was tried, what was found and what to do, in one line. Ends a command with code 2."""

    exit_code = 2


class RecordingError(EarpatchError):
    """A recording can't be read, or isn't what its header says."""


class BundleError(EarpatchError):
    """A bundle is missing, damaged, or made for something else."""


class SettingsError(EarpatchError):
    """A configuration file has a typo, a wrong type or a value out of range."""


class RuntimeUnavailableError(EarpatchError):
    """No TFLite runtime works here, or not the one that was asked for."""


class DeliveryError(EarpatchError):
    """Events could not be handed to the broker in time."""

    exit_code = 3


class MicrophoneAbsentError(EarpatchError):
    """No sound card here is the microphone that was asked for; it may come later."""


class MicrophoneAmbiguousError(EarpatchError):
    """Several sound cards are what was asked for, and a guess might hear the wrong machine."""


class SnapshotError(EarpatchError):
    """A clip can't be sent, or what was sent is not whole."""
