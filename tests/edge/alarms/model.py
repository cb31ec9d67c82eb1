"""An alarm without an on-delay, as a handful of flags: what the real one is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.alarms.settings import AlarmSettings


class Model:
    """The flags, and what each input does to them."""

    def __init__(self, settings: AlarmSettings) -> None:
        self.settings = settings
        self.active = self.latched = self.one_shot = self.out_of_service = self.held = False
        self.hearing = True
        self.unacknowledged = 0
        self.quiet_s = 0.0  # heard since the last anomaly
        self.shelf_s: float | None = None  # what is left of it

    def pass_time(self, step_s: float, anomaly_s: float = 0.0) -> None:
        """A step, of which the end may have been an anomaly."""
        off_delay_s = self.settings.off_delay_s
        if self.hearing:
            self.quiet_s += step_s
        if anomaly_s and (self.active or self.held) and self.quiet_s - anomaly_s <= off_delay_s:
            self.quiet_s = 0.0
        if self.shelf_s is not None:
            self.shelf_s -= step_s
        returns = self.active and self.hearing and self.quiet_s >= off_delay_s
        if (self.shelf_s is not None and self.shelf_s <= 0) or (returns and self.one_shot):
            self.shelf_s, self.one_shot = None, False
        if returns:
            self.active = False

    def event(self) -> None:
        """Starts an activation, prolongs it, or waits until the input is back."""
        self.quiet_s = 0.0
        if not self.active:
            self.held = True
            self.appear()
        elif self.unacknowledged:
            self.unacknowledged += 1

    def appear(self) -> None:
        """Only what is heard appears."""
        if self.held and self.hearing:
            self.active, self.held = True, False
            self.unacknowledged += 1
            self.latched = self.latched or self.settings.latching

    @property
    def name(self) -> str:
        """The state that shows."""
        if self.out_of_service:
            return "out_of_service"
        if self.shelf_s is not None:
            return "shelved"
        seen = "unacknowledged" if self.unacknowledged else "acknowledged"
        if self.active:
            return f"active_{seen}"
        if self.latched:
            return f"latched_{seen}"
        return "returned_unacknowledged" if self.unacknowledged else "normal"
