"""Empty at run time: ``_face.pyi`` tells type checkers that the verbs can be called."""
