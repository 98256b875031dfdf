"""What computes, and which part of a style is exported: readable without torch."""

from __future__ import annotations

from typing import Literal

Engine = Literal["torch", "onnxruntime", "openvino"]
"""What computes a mapper: torch defines the result."""
Part = Literal["all", "generator", "encoder"]
"""All: crop -> face and mask; encoder: crop -> codes; generator: codes -> face."""
