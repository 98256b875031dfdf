"""The page in a browser and the REST calls of `mien.serve`: uploads, waiting lines, the styles that people keep."""
