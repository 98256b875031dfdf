"""Measuring what the product makes: evaluation, comparisons, preference studies, sweeps, speed, reports on models."""
