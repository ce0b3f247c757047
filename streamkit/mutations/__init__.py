"""Mutations: edits of a transcript, each with its class, and what a right parser does about it."""
