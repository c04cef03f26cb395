"""Nothing points up: no foreign key from a lower app to a higher one. Serves the architecture."""

import pytest
from django.apps import apps

ORDER = ["audit", "bookings", "waitlist", "payments", "config"]
OURS = [m for m in apps.get_models() if m._meta.app_label in ORDER]


@pytest.mark.parametrize("model", OURS, ids=lambda m: m._meta.label)
def test_foreign_keys_point_down(model):
    for field in model._meta.get_fields():
        if field.is_relation and getattr(field, "concrete", False) and field.related_model:
            target = field.related_model._meta.app_label
            if target in ORDER:
                assert ORDER.index(target) <= ORDER.index(model._meta.app_label), field.name


def test_audit_has_no_foreign_key_to_anybody_else():
    for model in OURS:
        if model._meta.app_label == "audit":
            for field in model._meta.concrete_fields:
                assert not field.is_relation or field.related_model._meta.app_label == "audit"
