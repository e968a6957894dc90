"""Pictures for the documents, drawn in an environment of their own."""
