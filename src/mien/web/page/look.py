"""The colors and the type of the page: gradio's theme, and a style sheet for everything of our own."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE_SHEET = Path(__file__).parent / "look.css"
_SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Fonts of the visitor's own computer, warm paper, one strong color."""
    made = gr.themes.Base(
        primary_hue="orange", neutral_hue="stone", radius_size="lg", spacing_size="md", text_size="md",
        font=list(_SANS), font_mono=list(_MONO),
    )  # fmt: skip
    shared = {
        "body_background_fill": "var(--paper)", "body_text_color": "var(--ink)", "body_text_color_subdued": "var(--soft)",
        "background_fill_primary": "var(--card)", "background_fill_secondary": "var(--paper)",
        "block_background_fill": "transparent", "block_border_width": "0px", "block_shadow": "none",
        "block_label_background_fill": "transparent", "block_info_text_color": "var(--soft)",
        "block_title_text_color": "var(--ink)", "block_title_text_weight": "600", "block_title_text_size": "14px",
        "block_padding": "0px", "block_label_text_color": "var(--soft)",
        "border_color_primary": "var(--line)", "color_accent": "var(--accent)", "slider_color": "var(--accent)",
        "input_background_fill": "var(--card)", "input_border_color": "var(--line)",
        "checkbox_background_color": "var(--card)", "checkbox_background_color_selected": "var(--accent)",
        "checkbox_border_color_selected": "var(--accent)", "checkbox_label_background_fill": "var(--card)",
        "checkbox_label_background_fill_selected": "var(--tint)", "checkbox_label_border_color": "var(--line)",
        "checkbox_label_border_color_selected": "var(--accent)", "checkbox_label_text_color": "var(--ink)",
        "checkbox_label_text_color_selected": "var(--ink)",
        "button_primary_background_fill": "var(--accent)", "button_primary_background_fill_hover": "var(--accent-deep)",
        "button_primary_text_color": "white", "button_primary_border_color": "transparent",
        "button_secondary_background_fill": "var(--card)", "button_secondary_background_fill_hover": "var(--tint)",
        "button_secondary_text_color": "var(--ink)", "button_secondary_border_color": "var(--line)",
        "button_large_radius": "999px", "button_medium_radius": "999px", "button_small_radius": "999px",
    }  # fmt: skip
    plain = {"block_border_width", "block_padding", "block_title_text_size"}
    dark = {
        f"{name}_dark": value
        for name, value in shared.items()
        if name not in plain and not name.endswith("_radius") and "_weight" not in name
    }
    known = vars(made)
    return made.set(**shared, **{name: value for name, value in dark.items() if name in known})
