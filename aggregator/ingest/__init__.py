"""From batches of a link to rows of the journal: identity, epochs, terms, absence."""
