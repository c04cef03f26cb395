"""Benchmarks over real HTTP, run by ``make bench``. Not tests: pytest collects nothing here."""
