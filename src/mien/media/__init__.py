"""Pixels in and out: images, and folders or zips of them."""
