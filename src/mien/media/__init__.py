"""Pixels in and out: pictures, and folders or zips of them."""
