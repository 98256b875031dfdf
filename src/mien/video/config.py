"""Settings of a video file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mien.errors import InputError
from mien.streaming.config import StreamConfig

Codec = Literal["auto", "h264", "h265", "vp9", "prores", "ffv1"]


@dataclass(frozen=True)
class VideoConfig(StreamConfig):
    """How faces are followed through a video, and how the video is written."""

    codec: Annotated[Codec, "video codec; auto: h264, vp9 in .webm, and one that keeps transparency where there is any"] = (
        "auto"
    )
    quality: Annotated[int, "quality, 1 to 100: 80 is hard to tell from the original"] = 80

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.quality <= 100:
            raise InputError(f"`quality` is from 1 to 100, got {self.quality}.")
