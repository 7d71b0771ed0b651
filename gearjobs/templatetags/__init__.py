"""Template tags: of the admin's screens, and for the pages of projects."""
