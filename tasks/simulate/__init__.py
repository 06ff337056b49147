"""Deliveries of a consortium that does not exist, with the truth that was planted beside them."""
