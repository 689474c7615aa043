"""Files of changes: what changes from one list to the next, applied to a set or to a store."""
