from django.apps import AppConfig


class CeilingsConfig(AppConfig):
    """The ceilings of the benchmarks."""

    name = "tests.benchmarks.ceilings"
    label = "ceilings"
