"""What every server of this package needs, whatever it serves: who may ask, where it listens, the files of its page."""
