"""Training data from images as they come: cropped, sorted out, written as a folder or a zip that `mien train` reads."""
