"""The door for ODK Collect: OpenRosa form list, manifest, downloads and submission, as Collect really speaks them."""
