"""Files to pixels to views: `open.open_picture`, the fits, and where each view lies in its picture."""
