"""Video files and animations: read, drawn frame by frame, written with their times, sound, colors and alpha."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.video.config import VideoConfig as VideoConfig
    from mien.video.whole_clip import VideoResult as VideoResult
    from mien.video.whole_clip import stylize_video as stylize_video

__all__ = ["VideoConfig", "VideoResult"]
__getattr__ = names_from(
    __name__,
    {
        "config": "VideoConfig",
        "whole_clip": "VideoResult stylize_video",
    },
)
