"""What the market says: symbols, books, features. No venue, no account."""
