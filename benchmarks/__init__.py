"""Workloads as plain functions; ``python -m benchmarks`` runs them, the tests run them tiny."""
