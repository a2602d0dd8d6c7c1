"""The pages, each complete without a script. One module per page; `shell` is what they share."""
