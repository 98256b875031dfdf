"""Styles as files that other programs and browsers run."""
