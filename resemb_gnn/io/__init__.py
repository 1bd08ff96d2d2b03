"""Tables, files and folders: read with checks, written whole or not at all."""
