"""REST `/v1` in the shape of ODK Central's API, as far as the two have things in common. One noun, one module."""
