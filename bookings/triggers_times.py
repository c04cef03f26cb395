"""Times of a booking that the database keeps or compares, on every path."""

from __future__ import annotations

import pgtrigger


def note_times() -> list[pgtrigger.Trigger]:
    """Since when a booking is in its slot; and nobody misses what has not begun."""
    return [
        pgtrigger.Trigger(
            name="note_move",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=pgtrigger.AnyChange("slot"),
            func="NEW.slot_since := now(); RETURN NEW;",
        ),
        pgtrigger.Trigger(
            name="miss_after_start",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition(
                "NEW.missed_at IS NOT NULL AND OLD.missed_at IS DISTINCT FROM NEW.missed_at"
            ),
            func="""
                IF EXISTS (
                    SELECT 1 FROM bookings_slot
                    WHERE id = NEW.slot_id AND starts_at > NEW.missed_at
                ) THEN
                    RAISE EXCEPTION 'booking % has not started', NEW.id USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_booking_missed_after_its_start';
                END IF;
                RETURN NEW;
            """,
        ),
    ]
