"""An alarm as bytes: JSON with a checksum, times as ages, so that another clock can read them.

A monotonic clock starts anew with the computer. What must go on while the power is off (shelving,
the hour of annunciations, since when) is carried over by the wall clock: its advance since saving,
and nothing if it went back. So a shelf never lasts longer than it was meant to, and a wrong clock
ends it early at worst. Delays count what was heard, and nothing was heard meanwhile.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edge.alarms.alarm import MAX_CLOCK_S, MAX_ID_CHARS, Alarm
from edge.alarms.condition import Episode
from edge.alarms.settings import MAX_PER_HOUR
from edge.alarms.states import Shelving, Summary
from edge.alarms.waiting import LISTED

if TYPE_CHECKING:
    from edge.alarms.annunciation import Annunciator
    from edge.alarms.condition import Condition
    from edge.alarms.settings import AlarmSettings

SCHEMA = "earpatch.alarm/1"
NOTHING_KEPT = "the alarm begins as normal"

Id = Annotated[str, Meta(max_length=MAX_ID_CHARS)]
Ids = Annotated[list[Id], Meta(max_length=LISTED)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0)]


class EpisodeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ages in heard time."""

    began_age_s: Seconds
    last_age_s: Seconds


class BacklogRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What waits to be summarised."""

    count: Count
    worst_score: Seconds
    first_id: Id | None
    last_id: Id | None
    from_age_s: Seconds
    to_age_s: Seconds


class AlarmRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that an alarm consists of."""

    saved_utc_s: float
    active: bool
    latched: bool
    out_of_service: bool
    hearing: bool
    episode: EpisodeRecord | None
    waiting: Ids
    unlisted: Count
    acknowledged: Ids
    pending: Ids
    pending_older: Count
    shelving: Shelving
    shelved_for_s: Seconds | None
    since_age_s: Seconds
    last_event_id: Id | None
    worst_score: Annotated[float, Meta(ge=0)]
    told_ages_s: Annotated[list[Seconds], Meta(max_length=MAX_PER_HOUR)]
    backlog: BacklogRecord | None
    annunciated_total: Count
    suppressed_total: Count

    def __post_init__(self) -> None:
        """Refuse what no alarm can be: it could never end."""
        if self.active and self.episode is None:
            raise ValueError("active without an anomaly")
        if (self.shelving == "Unshelved") != (self.shelved_for_s is None):
            raise ValueError("shelved for no time, or a time without shelving")


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    crc32: int
    alarm: msgspec.Raw


def encode(alarm: Alarm, now_s: float, utc_s: float) -> bytes:
    """The alarm as it is, to be kept.

    Args:
        alarm: what to keep.
        now_s: the monotonic clock; no clock, or one that went back, stands still.
        utc_s: the wall clock, in seconds since 1970.
    """
    now_s = alarm.no_earlier(now_s)
    body = msgspec.json.encode(_record(alarm, now_s, utc_s if math.isfinite(utc_s) else 0.0))
    return msgspec.json.encode(_Envelope(SCHEMA, zlib.crc32(body), msgspec.Raw(body)))


def restore(
    data: bytes, settings: AlarmSettings, now_s: float, utc_s: float
) -> tuple[Alarm, str | None]:
    """The alarm that was kept; if that can't be read, a new one and why, in one line."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        if envelope.schema != SCHEMA:
            return Alarm(settings, now_s), f"not {SCHEMA}; {NOTHING_KEPT}"
        body = bytes(envelope.alarm)
        if zlib.crc32(body) != envelope.crc32:
            return Alarm(settings, now_s), f"damaged (checksum); {NOTHING_KEPT}"
        record = msgspec.json.decode(body, type=AlarmRecord)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Alarm(settings, now_s), f"no alarm can be read from it; {NOTHING_KEPT}"
    return _alarm(record, settings, now_s, utc_s), None


def _record(alarm: Alarm, now_s: float, utc_s: float) -> AlarmRecord:
    annunciator, until_s = alarm.annunciator, alarm.shelf.until_s
    return AlarmRecord(
        saved_utc_s=utc_s,
        active=alarm.condition.present,
        latched=alarm.latched,
        out_of_service=alarm.out_of_service,
        hearing=alarm.condition.hearing,
        episode=_episode_record(alarm.condition),
        waiting=alarm.waiting.listed,
        unlisted=alarm.waiting.unlisted,
        acknowledged=alarm.waiting.acknowledged,
        pending=alarm.pending,
        pending_older=alarm.pending_older,
        shelving=alarm.shelf.shelving,
        shelved_for_s=None if until_s is None else max(0.0, until_s - now_s),
        since_age_s=now_s - alarm.since_s,
        last_event_id=alarm.last_event_id,
        worst_score=alarm.worst_score,
        told_ages_s=[now_s - at_s for at_s in annunciator.told_at_s],
        backlog=_backlog_record(annunciator, now_s),
        annunciated_total=annunciator.annunciated_total,
        suppressed_total=annunciator.suppressed_total,
    )


def _episode_record(condition: Condition) -> EpisodeRecord | None:
    if (episode := condition.episode) is None:
        return None
    return EpisodeRecord(condition.heard_s - episode.began_s, condition.heard_s - episode.last_s)


def _backlog_record(annunciator: Annunciator, now_s: float) -> BacklogRecord | None:
    if (backlog := annunciator.backlog) is None:
        return None
    return BacklogRecord(
        count=backlog.count,
        worst_score=backlog.worst_score,
        first_id=backlog.first_id,
        last_id=backlog.last_id,
        from_age_s=now_s - backlog.from_s,
        to_age_s=now_s - backlog.to_s,
    )


def _alarm(record: AlarmRecord, settings: AlarmSettings, now_s: float, utc_s: float) -> Alarm:
    alarm = Alarm(settings, now_s)
    off_s = utc_s - record.saved_utc_s
    off_s = min(off_s, MAX_CLOCK_S) if off_s > 0.0 else 0.0
    saved_at_s = alarm.now_s - off_s  # on the new clock
    condition = alarm.condition
    condition.present, condition.hearing = record.active, record.hearing
    if record.episode is not None:
        began_s, last_s = -record.episode.began_age_s, -record.episode.last_age_s
        condition.episode = Episode(began_s, last_s)
    alarm.latched, alarm.out_of_service = record.latched, record.out_of_service
    alarm.waiting.listed, alarm.waiting.unlisted = record.waiting, record.unlisted
    alarm.waiting.acknowledged = record.acknowledged
    alarm.pending, alarm.pending_older = record.pending, record.pending_older
    if record.shelved_for_s is not None:
        for_s = min(record.shelved_for_s, settings.max_shelve_s)
        alarm.shelf.put(record.shelving, saved_at_s + for_s)
    alarm.since_s = saved_at_s - record.since_age_s
    alarm.last_event_id, alarm.worst_score = record.last_event_id, record.worst_score
    _restore_annunciator(alarm.annunciator, record, saved_at_s)
    return alarm


def _restore_annunciator(annunciator: Annunciator, record: AlarmRecord, saved_at_s: float) -> None:
    annunciator.told_at_s = [saved_at_s - age_s for age_s in record.told_ages_s]
    annunciator.annunciated_total = record.annunciated_total
    annunciator.suppressed_total = record.suppressed_total
    if (backlog := record.backlog) is not None:
        annunciator.backlog = Summary(
            count=backlog.count,
            worst_score=backlog.worst_score,
            first_id=backlog.first_id,
            last_id=backlog.last_id,
            from_s=saved_at_s - backlog.from_age_s,
            to_s=saved_at_s - backlog.to_age_s,
        )
