"""Rows and files: readers, text, vocabulary, images. No torch models here."""
