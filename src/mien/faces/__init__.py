"""Geometry of faces: where they are, the square crop around each, and the way back into the photo."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.faces.align import CropFrame as CropFrame
    from mien.faces.align import extract as extract
    from mien.faces.align import ffhq_frame as ffhq_frame
    from mien.faces.align import five_of_68 as five_of_68
    from mien.faces.align import frame_from_box as frame_from_box
    from mien.faces.align import parse_landmarks as parse_landmarks
    from mien.faces.align import whole_frame as whole_frame
    from mien.faces.config import AlignConfig as AlignConfig
    from mien.faces.detect import Face as Face
    from mien.faces.detect import choose as choose
    from mien.faces.detect import find_faces as find_faces
    from mien.faces.five_points import find_landmarks as find_landmarks
    from mien.faces.numbered import number_faces as number_faces
    from mien.faces.paste import enlargement as enlargement
    from mien.faces.paste import paste_back as paste_back

__all__ = ["CropFrame", "Face", "find_faces", "find_landmarks", "number_faces", "paste_back"]
__getattr__ = names_from(
    __name__,
    {
        "align": "CropFrame extract ffhq_frame five_of_68 frame_from_box parse_landmarks whole_frame",
        "config": "AlignConfig",
        "detect": "Face choose find_faces",
        "five_points": "find_landmarks",
        "numbered": "number_faces",
        "paste": "enlargement paste_back",
    },
)
