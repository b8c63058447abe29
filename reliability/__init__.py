"""Long tests of trust, outside the suite: ``python -m reliability``. docs/reliability.md has results."""
