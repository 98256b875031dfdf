"""Geometry of faces: where they are, the square crop around each, and the way back into the photo."""

from mien.faces.align import CropFrame, extract, ffhq_frame, five_of_68, frame_from_box, parse_landmarks, whole_frame
from mien.faces.config import AlignConfig
from mien.faces.detect import Face, choose, find_faces
from mien.faces.five_points import find_landmarks
from mien.faces.locate import locate
from mien.faces.paste import enlargement, head_mask, paste_back

__all__ = [
    "AlignConfig",
    "CropFrame",
    "Face",
    "choose",
    "enlargement",
    "extract",
    "ffhq_frame",
    "find_faces",
    "find_landmarks",
    "five_of_68",
    "frame_from_box",
    "head_mask",
    "locate",
    "parse_landmarks",
    "paste_back",
    "whole_frame",
]
