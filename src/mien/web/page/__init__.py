"""The page itself, built with gradio: its parts, its look, and what happens when somebody uses them."""
