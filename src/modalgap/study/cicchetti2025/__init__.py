"""Cicchetti et al. 2025: "Gramian Multimodal Representation Learning and Alignment" (GRAM)."""
