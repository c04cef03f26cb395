"""The two functions that the trail's triggers call."""

from django.db import migrations

FUNCTIONS = """
CREATE OR REPLACE FUNCTION audit_context(
    OUT actor_kind text, OUT actor_id uuid, OUT actor_label text, OUT ip inet,
    OUT user_agent text, OUT request_id text, OUT reason text
) LANGUAGE sql STABLE AS $$
    SELECT x.* FROM jsonb_to_record(COALESCE(
        NULLIF(current_setting('holdfast.audit', true), '')::jsonb,
        jsonb_build_object('actor_kind', 'system', 'actor_label', 'SQL session of ' || session_user
            || COALESCE(' in ' || NULLIF(current_setting('application_name', true), ''), ''))
    )) AS x(actor_kind text, actor_id uuid, actor_label text, ip inet,
            user_agent text, request_id text, reason text)
$$;
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the trail % cannot be changed', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_trail_is_append_only';
END $$;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.RunSQL(
            FUNCTIONS, "DROP FUNCTION audit_refuse_change(); DROP FUNCTION audit_context();"
        )
    ]
