"""The report on a face model: numbers and contact sheets for its model card."""
