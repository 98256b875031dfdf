"""Frames in, frames out: faces followed from frame to frame, steady codes, quick pasting; for video, camera and page."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.streaming.config import StreamConfig as StreamConfig
    from mien.streaming.frame_engine import Stream as Stream

__all__ = ["StreamConfig"]
__getattr__ = names_from(
    __name__,
    {
        "config": "StreamConfig",
        "frame_engine": "Stream",
    },
)
