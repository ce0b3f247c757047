"""What real client libraries do under the catalogue of mutations, and the commands that tell it."""
