"""The pages of a profile. Each lives as long as it is shown, and holds nothing but its place in that."""
