"""Long tests outside the suite: ``python -m reliability``; results are in docs/reliability.md."""
