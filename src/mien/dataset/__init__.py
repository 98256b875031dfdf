"""Training data from pictures as they come: cropped, sorted out, written as a folder or a zip that `mien train` reads."""
