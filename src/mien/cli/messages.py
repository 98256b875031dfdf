"""Where the library's words become the command's: settings in messages are said as the options that set them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SETTING = re.compile(r"`([a-z]\w*)`|(?<![\w/.\\-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w/.\\-])")


def translated(message: str, options: Mapping[str, str]) -> str:
    """A message with the names of settings replaced by options: {setting: option}.

    Settings are written as code, `steps`; those of several words, random_layers, also without the ticks. Other words stay.
    """
    return _SETTING.sub(lambda found: options.get(found[1] or found[2], found[0]), message)
