"""Every big model behind one protocol."""
