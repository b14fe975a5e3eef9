"""What a user asks for, made of files, names and objects: problems, guides and plugins."""
