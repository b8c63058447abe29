"""Measure, close and understand the modality gap."""
