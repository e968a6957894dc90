"""Everything the page says, in English and in Japanese."""
